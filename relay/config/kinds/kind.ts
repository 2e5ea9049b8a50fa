/** What a setting may be, and how it is written. */
export type Kind = ValueKind | ToggleKind | ListKind;

/** One value: `--port 8787`, `RIVULET_PORT=8787`, `"port": 8787`. */
export interface ValueKind {
  /** How many values it takes. */
  readonly takes: "value";
  /** What stands for one in the help: `NUMBER`. */
  readonly hint: string;
  /** What is wanted, in words. */
  readonly wanted: string;
  /**
   * Reads what a flag or the environment says.
   *
   * @returns `undefined` for what is no such value.
   */
  fromText(text: string): unknown;
  /**
   * Reads what the file says, as far as it says it in another way than the
   * options do; what is wrong is left as it is, and refused by their schema.
   */
  fromJson(value: unknown): unknown;
  /** Writes an option as the file has it. */
  toJson(value: unknown): unknown;
}

/** Yes or no: `--x`, `--no-x`, `RIVULET_X=true`, `"x": true`. */
export interface ToggleKind {
  /** How many values it takes. */
  readonly takes: "nothing";
  /** Whether the flag turns the option off rather than on. */
  readonly negated: boolean;
}

/** Any number of values: `--x A --x B`, `RIVULET_X="A B"`, `"x": ["A", "B"]`. */
export interface ListKind {
  /** How many values it takes. */
  readonly takes: "values";
  /** Each of them. */
  readonly item: ValueKind;
}
