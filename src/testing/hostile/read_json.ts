// This module is browser compatible.
import { z } from "zod";
import { type Asked, RefusedError } from "./asked.ts";

/** Reads what a route is asked, or refuses it as a provider would. */
export function readJson<T>({ body }: Asked, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new RefusedError("We could not parse the JSON body of your request.");
  }
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  throw new RefusedError(z.prettifyError(error));
}
