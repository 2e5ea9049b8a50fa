import { z } from "zod";

/** A chat route of an application that the relay stands in front of. */
export interface ChatRoute {
  /** The name in paths and topics: `/chat/{name}`. */
  readonly name: string;
  /** The URL that the application answers a chat's `POST` at. */
  readonly url: string;
  /** The secret by which the application knows the relay. Default: it is not told one. */
  readonly secret?: string | undefined;
  /** Whether several users may be in one chat. Default: a chat is its user's alone. */
  readonly shared?: boolean | undefined;
}

/** Accepts a chat route. */
export const chatRoute = z.strictObject({
  name: z.string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, {
      message:
        "Expected 1 to 32 characters of a-z 0-9 _ -, beginning with a letter or a digit",
    })
    .refine((name) => name !== "v1", {
      message: "Expected another name than v1, which is a provider's path",
    }),
  url: z.url({
    protocol: /^https?$/,
    message: "Expected a URL of http or https",
    abort: true, // the next check takes it for a URL
  }).refine((url) => {
    const { username, password, search, hash } = new URL(url);
    return !username && !password && !search && !hash;
  }, { message: "Expected a URL without user, query and fragment" }),
  secret: z.string().regex(/^[\x21-\x7e]{16,1024}$/, {
    message: "Expected a secret of 16 to 1,024 characters, without spaces",
  }).optional(),
  shared: z.boolean().optional(),
});

/** Returns the environment variable of the secret of a chat route. */
export function secretEnvOf(name: string): string {
  return `${name.toUpperCase().replaceAll("-", "_")}_CHAT_SECRET`;
}
