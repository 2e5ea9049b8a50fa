// This module is browser compatible.

/**
 * The part of the {@link https://standardschema.dev/ | Standard Schema} that is
 * needed to validate: zod, Valibot, ArkType and others have it.
 *
 * @typeParam Output The type of a valid value.
 *
 * @example A schema of one's own
 * ```ts
 * import type { EventSchema } from "@rivulet/rivulet/fetch";
 *
 * const anything: EventSchema<unknown> = {
 *   "~standard": {
 *     version: 1,
 *     vendor: "me",
 *     validate: (value) => ({ value }),
 *   },
 * };
 * ```
 */
export interface EventSchema<Output = unknown> {
  /** The properties that the Standard Schema asks of a schema. */
  readonly "~standard": {
    /** The version of the Standard Schema. */
    readonly version: 1;
    /** The library that made the schema. */
    readonly vendor: string;
    /** Validates a value. */
    readonly validate: (
      value: unknown,
    ) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** The types it is from and to; they exist for the compiler alone. */
    readonly types?:
      | { readonly input: unknown; readonly output: Output }
      | undefined;
  };
}

/**
 * The result of validation: the value, or the issues found.
 *
 * @typeParam Output The type of a valid value.
 *
 * @example A value that is valid
 * ```ts
 * import type { SchemaResult } from "@rivulet/rivulet/fetch";
 *
 * const result: SchemaResult<number> = { value: 1 };
 * ```
 */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/**
 * Something that is wrong with a value.
 *
 * @example A field that is missing
 * ```ts
 * import type { SchemaIssue } from "@rivulet/rivulet/fetch";
 *
 * const issue: SchemaIssue = { message: "Required", path: ["user", "name"] };
 * ```
 */
export interface SchemaIssue {
  /** The problem, in words. */
  readonly message: string;
  /** The path to the place in the value. */
  readonly path?:
    | readonly (PropertyKey | { readonly key: PropertyKey })[]
    | undefined;
}
