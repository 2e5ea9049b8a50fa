/**
 * The ways to make a chat resumable, and the lines of code that each takes: those of the
 * routes that it has and of its page, without what the page looks like.
 *
 * @module
 */
import { countLines } from "../programs.ts";

/** The ways, and the files that each consists of. */
export const WAYS = {
  relayed: {
    name: "`--chat`",
    server: "examples/chat-unchanged/route.ts",
    page: "examples/chat-unchanged/page.jsx",
  },
  library: {
    name: "`publishChat`",
    server: "examples/chat-server-hono/server.ts",
    page: "examples/chat-react/chat.tsx",
  },
  resumable: {
    name: "`resumable-stream`",
    server: "bench/chat/resumable_stream/route.ts",
    page: "bench/chat/resumable_stream/page.jsx",
  },
} as const;

/** Returns the number of lines of code in one half of a way. */
export async function linesOf(
  way: keyof typeof WAYS,
  half: "server" | "page",
): Promise<number> {
  const url = new URL(`../../${WAYS[way][half]}`, import.meta.url);
  return countLines(await Deno.readTextFile(url));
}
