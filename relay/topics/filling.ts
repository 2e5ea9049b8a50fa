import { z } from "zod";
import {
  isSecretName,
  isSecretShape,
} from "../../src/fetch/secrets/definition.ts";
import { queryFields } from "../../src/fetch/secrets/urls.ts";

/** What fills a topic, as the store keeps it for the relay that goes on after this one. */
export type Filling = z.output<typeof schema>;

const schema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("source"),
    url: z.url(),
    reconnect: z.boolean(),
    repeats: z.enum(["keep", "drop"]),
  }),
  // Whatever fills it cannot be gone on with from what the store keeps.
  z.object({ kind: z.literal("lost") }),
]);

/** Writes what fills a topic. */
export function writeFilling(filling: Filling): string {
  return JSON.stringify(filling);
}

/** Reads what fills a topic; `undefined` if it is nothing that this relay knows. */
export function readFilling(text: string): Filling | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // a later version of the relay has written it
  }
}

/** Whether a URL may be kept: it has no secrets, as far as one can tell. */
export function isKeepable(url: string): boolean {
  const { username, password } = new URL(url);
  return username === "" && password === "" && !isSecretShape(url) &&
    queryFields(url).every(({ name, value }) =>
      !isSecretName(name) && !isSecretShape(value)
    );
}
