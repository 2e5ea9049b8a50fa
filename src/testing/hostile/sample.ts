// This module is browser compatible.
import * as z from "zod";

const record = z.record(z.string(), z.unknown());

/** The part of JSON Schema with which tools are described. */
const schema = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).min(1),
  anyOf: z.array(z.unknown()).min(1),
  properties: record,
  items: z.unknown().optional(),
}).partial();

/** The deepest level of a schema: one that contains itself would never end. */
const MAX_DEPTH = 8;

/**
 * Makes up a value that fits a JSON Schema.
 *
 * @param of The schema.
 * @param text The text of strings.
 */
export function sample(of: unknown, text: string, depth = 0): unknown {
  const { success, data } = schema.safeParse(of);
  if (!success || depth > MAX_DEPTH) return null;
  if (data.const !== undefined) return data.const;
  if (data.enum) return data.enum[0];
  if (data.anyOf) return sample(data.anyOf[0], text, depth + 1);
  const type = Array.isArray(data.type) ? data.type[0] : data.type;
  switch (type ?? (data.properties ? "object" : "null")) {
    case "string":
      return text;
    case "integer":
    case "number":
      return 1;
    case "boolean":
      return true;
    case "array":
      return data.items === undefined
        ? []
        : [sample(data.items, text, depth + 1)];
    case "object":
      return Object.fromEntries(
        Object.entries(data.properties ?? {})
          .map(([name, value]) => [name, sample(value, text, depth + 1)]),
      );
    default:
      return null;
  }
}
