/** A value that a store has at hand, or has to fetch. */
export type Stored<T> = T | Promise<T>;
