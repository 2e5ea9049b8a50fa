// The part of the library for `using` that Node 20 has: two symbols.
// TypeScript's own declarations of it have two classes too, which Node 20 has
// not.

interface SymbolConstructor {
  readonly dispose: unique symbol;
  readonly asyncDispose: unique symbol;
}

interface Disposable {
  [Symbol.dispose](): void;
}

interface AsyncDisposable {
  [Symbol.asyncDispose](): PromiseLike<void>;
}
