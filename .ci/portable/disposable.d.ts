// What Node 20 has of the library that goes with `using`: two symbols. TypeScript's
// own declarations of it have two classes too, which Node 20 has not.

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
