import { z } from "zod";

/**
 * The source that fills a topic, or has filled it, as data: a run, an
 * application's turn of a chat, an SSE upstream, or a file. Nothing in it is
 * secret.
 *
 * @example Say who fills a topic
 * ```ts
 * import type { FilledBy } from "@rivulet/rivulet/relay";
 *
 * const nameOf = (by: FilledBy): string =>
 *   by.kind === "run" ? by.provider : by.kind;
 * nameOf({ kind: "run", provider: "openai", endpoint: "responses" });
 * ```
 */
export type FilledBy =
  | {
    /** A request to a provider of models. */
    readonly kind: "run";
    /** The name of the provider. */
    readonly provider: string;
    /** The path below the provider's URL: `responses`. */
    readonly endpoint: string;
  }
  | {
    /** A turn of a chat, which an application answers. */
    readonly kind: "chat";
    /** The name of the chat's route. */
    readonly chat: string;
  }
  | {
    /** An event stream. */
    readonly kind: "sse";
    /** Its URL, without secrets. */
    readonly url: string;
  }
  | {
    /** A file of events. */
    readonly kind: "fixture";
    /** Its path, as the operator has given it. */
    readonly file: string;
  };

/** Reads a {@linkcode FilledBy}; `undefined` for one that a later version has written. */
export const filledBySchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("run"),
    provider: z.string(),
    endpoint: z.string(),
  }),
  z.object({ kind: z.literal("chat"), chat: z.string() }),
  z.object({ kind: z.literal("sse"), url: z.string() }),
  z.object({ kind: z.literal("fixture"), file: z.string() }),
]).or(z.undefined()).catch(undefined).optional();
