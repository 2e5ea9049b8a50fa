/**
 * The two classes of the language that go with `using`, which Node 20 does not
 * have: what tests use of them.
 *
 * @module
 */

/** Throws what disposing has thrown; the last of it, as the language has it. */
function rethrow(errors: unknown[]): void {
  if (errors.length === 0) return;
  throw errors.reduce((suppressed, error) =>
    Object.assign(new Error("Suppressed", { cause: suppressed }), {
      name: "SuppressedError",
      error,
      suppressed,
    })
  );
}

/** `DisposableStack`. */
export class DisposableStack implements Disposable {
  readonly #disposers: (() => void)[] = [];
  /** Whether it was disposed of. */
  disposed = false;

  /** Disposes of this in the end. */
  use<T extends Disposable | null | undefined>(value: T): T {
    if (value) this.defer(() => value[Symbol.dispose]());
    return value;
  }

  /** Calls this with the value in the end. */
  adopt<T>(value: T, dispose: (value: T) => void): T {
    this.defer(() => dispose(value));
    return value;
  }

  /** Calls this in the end. */
  defer(dispose: () => void): void {
    if (this.disposed) throw new ReferenceError("It was disposed of");
    this.#disposers.push(dispose);
  }

  /** Disposes of everything, the last first. */
  dispose(): void {
    this[Symbol.dispose]();
  }

  /** Disposes of everything, the last first. */
  [Symbol.dispose](): void {
    this.disposed = true;
    const errors: unknown[] = [];
    for (let next; (next = this.#disposers.pop());) {
      try {
        next();
      } catch (error) {
        errors.push(error);
      }
    }
    rethrow(errors);
  }
}

/** `AsyncDisposableStack`. */
export class AsyncDisposableStack implements AsyncDisposable {
  readonly #disposers: (() => PromiseLike<void> | void)[] = [];
  /** Whether it was disposed of. */
  disposed = false;

  /** Disposes of this in the end. */
  use<T extends AsyncDisposable | Disposable | null | undefined>(value: T): T {
    if (!value) return value;
    if (Symbol.asyncDispose in value) {
      this.defer(() => value[Symbol.asyncDispose]());
    } else this.defer(() => value[Symbol.dispose]());
    return value;
  }

  /** Calls this with the value in the end. */
  adopt<T>(value: T, dispose: (value: T) => PromiseLike<void> | void): T {
    this.defer(() => dispose(value));
    return value;
  }

  /** Calls this in the end. */
  defer(dispose: () => PromiseLike<void> | void): void {
    if (this.disposed) throw new ReferenceError("It was disposed of");
    this.#disposers.push(dispose);
  }

  /** Disposes of everything, the last first. */
  async disposeAsync(): Promise<void> {
    await this[Symbol.asyncDispose]();
  }

  /** Disposes of everything, the last first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    const errors: unknown[] = [];
    for (let next; (next = this.#disposers.pop());) {
      try {
        await next();
      } catch (error) {
        errors.push(error);
      }
    }
    rethrow(errors);
  }
}
