// This module is browser compatible.
import { described } from "../sse/described.ts";

/**
 * Refuses schemas that cannot validate an event.
 *
 * @param schemas The schemas by type of event, or `undefined`.
 * @throws {TypeError} If one is no Standard Schema.
 */
export function checkSchemas(schemas: unknown): void {
  if (schemas === undefined) return;
  if (
    typeof schemas !== "object" || schemas === null || Array.isArray(schemas)
  ) {
    throw new TypeError(
      `Cannot stream events as 'schemas' must be an object with a schema for each type of event: current value is ${
        described(schemas)
      }`,
    );
  }
  for (const [name, schema] of Object.entries(schemas)) {
    if (typeof schema?.["~standard"]?.validate === "function") continue;
    throw new TypeError(
      `Cannot stream events as 'schemas.${name}' must be a Standard Schema, such as z.object({ ... }) of zod: current value is ${
        described(schema)
      }`,
    );
  }
}
