// This module is browser compatible.
import type {
  EventSchema,
  SchemaIssue,
  SchemaResult,
} from "../fetch/standard_schema.ts";
import { isFields } from "./wires/event_data.ts";

/**
 * A schema of zod, Valibot, ArkType or any other library that speaks Standard
 * Schema. None of them is imported: this is the shape that they share.
 *
 * A provider is sent the schema as a JSON Schema, which `jsonSchema` makes of it:
 * zod 4.2 and ArkType have that; for others, see {@linkcode JsonSchema}.
 *
 * @typeParam T The type of a valid value.
 * @see {@link https://standardschema.dev | Standard Schema}
 *
 * @example A schema of zod is one
 * ```ts
 * import type { ModelSchema } from "@rivulet/rivulet/model";
 * import { z } from "zod";
 *
 * const schema: ModelSchema<{ city: string }> = z.object({ city: z.string() });
 * ```
 */
export interface ModelSchema<T> extends EventSchema<T> {
  /** The part of Standard Schema that validates a value and gives its JSON Schema. */
  readonly "~standard": EventSchema<T>["~standard"] & {
    /** Makes JSON Schemas. */
    readonly jsonSchema?: {
      /** That of the values that are taken in. */
      readonly input: (
        options: { readonly target: "draft-2020-12" },
      ) => Record<string, unknown>;
    } | undefined;
  };
}

/**
 * A JSON Schema that was written by hand, and what holds values against it.
 *
 * @typeParam T The type of the values that fit.
 *
 * @example Without a library
 * ```ts
 * import type { JsonSchema } from "@rivulet/rivulet/model";
 *
 * const city: JsonSchema<unknown> = {
 *   jsonSchema: {
 *     type: "object",
 *     properties: { city: { type: "string" } },
 *     required: ["city"],
 *     additionalProperties: false,
 *   },
 * };
 * ```
 */
export interface JsonSchema<T> {
  /** The JSON Schema that the provider is sent. */
  readonly jsonSchema: Record<string, unknown>;
  /** Validates a value; without it, any JSON is valid. */
  readonly schema?: ModelSchema<T> | undefined;
}

/** A schema of either kind. */
export type AnySchema<T> = ModelSchema<T> | JsonSchema<T>;

/** A JSON Schema, as providers want it. */
export interface WireSchema {
  /** The schema. */
  readonly schema: Record<string, unknown>;
  /** Whether it is one that a provider can hold the model to. */
  readonly strict: boolean;
}

/**
 * Makes the JSON Schema that a provider is sent.
 *
 * @param given The schema.
 * @param action The action that needs it, for the message.
 * @param path Its path.
 * @returns The JSON Schema of an object.
 * @throws {TypeError} If there is none.
 */
export function wireSchemaOf(
  given: AnySchema<unknown>,
  action: string,
  path: string,
): WireSchema {
  const { $schema: _, ...schema } = jsonSchemaOf(given, action, path);
  if (schema.type !== "object") {
    throw new TypeError(
      `Cannot ${action} as '${path}' must be the schema of an object: its type is ${
        JSON.stringify(schema.type)
      }`,
    );
  }
  const closed = closedCopy(schema);
  return closed ? { schema: closed, strict: true } : { schema, strict: false };
}

function jsonSchemaOf(
  given: AnySchema<unknown>,
  action: string,
  path: string,
): Record<string, unknown> {
  if (!("~standard" in given)) return given.jsonSchema;
  const { jsonSchema, vendor } = given["~standard"];
  if (!jsonSchema) {
    throw new TypeError(
      `Cannot ${action} as '${path}' makes no JSON Schema of itself (${vendor}): give { jsonSchema, schema }`,
    );
  }
  try {
    return jsonSchema.input({ target: "draft-2020-12" });
  } catch (cause) {
    throw new TypeError(
      `Cannot ${action} as no JSON Schema can be made of '${path}'`,
      { cause },
    );
  }
}

/**
 * Copies a JSON Schema with its objects closed, as providers demand of a schema
 * that they hold the model to; `undefined` if it has a field that may be missing,
 * or an object with any fields, which they refuse.
 */
function closedCopy(
  schema: Record<string, unknown>,
): Record<string, unknown> | undefined {
  const copy: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    const closed = LITERAL.has(keyword)
      ? value
      : MAPS.has(keyword) && isFields(value)
      ? closedEach(value)
      : closedValue(value);
    if (closed === undefined) return undefined;
    copy[keyword] = closed;
  }
  if (copy.type !== "object") return copy;
  const { properties = {}, required = [], additionalProperties } = copy;
  if (additionalProperties !== undefined && additionalProperties !== false) {
    return undefined;
  }
  const names = isFields(properties) ? Object.keys(properties) : [];
  // Array.isArray makes it any[].
  const demanded: readonly unknown[] = Array.isArray(required) ? required : [];
  return names.every((name) => demanded.includes(name))
    ? { ...copy, properties, required: names, additionalProperties: false }
    : undefined;
}

/** Keywords whose values are data, and no schemas. */
const LITERAL: ReadonlySet<string> = new Set([
  "const",
  "enum",
  "default",
  "examples",
  "required",
]);

/** Keywords whose values are schemas by name. */
const MAPS: ReadonlySet<string> = new Set(["properties", "$defs"]);

function closedEach(
  schemas: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  const copy: [string, unknown][] = [];
  for (const [name, schema] of Object.entries(schemas)) {
    const closed = closedValue(schema);
    if (closed === undefined) return undefined;
    copy.push([name, closed]);
  }
  // `__proto__` is a name like any other here.
  return Object.fromEntries(copy);
}

function closedValue(value: unknown): unknown {
  if (Array.isArray(value)) {
    // Array.isArray makes it any[].
    const copy = (value as readonly unknown[]).map(closedValue);
    return copy.includes(undefined) ? undefined : copy;
  }
  return isFields(value) ? closedCopy({ ...value }) : value;
}

/**
 * Holds a value against a schema.
 *
 * @param given The schema.
 * @param value The value.
 * @returns The value as the schema has it, or what is wrong with it.
 */
export async function holdAgainst<T>(
  given: AnySchema<T>,
  value: unknown,
): Promise<SchemaResult<T>> {
  const schema = "~standard" in given ? given : given.schema;
  // Without a schema nothing is known of its type.
  if (!schema) return { value: value as T };
  return await schema["~standard"].validate(value);
}

/**
 * Tells what is wrong with a value.
 *
 * @param issues Its faults.
 * @returns The same in a line.
 */
export function issuesText(issues: readonly SchemaIssue[]): string {
  return issues.map(({ message, path = [] }) => {
    const where = path.map((part) =>
      String(typeof part === "object" ? part.key : part)
    ).join(".");
    return where === "" ? message : `${where}: ${message}`;
  }).join("; ");
}
