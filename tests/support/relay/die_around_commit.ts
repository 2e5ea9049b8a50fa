/**
 * Is loaded before a relay, and kills it around the commit of what has a mark in it:
 * `RIVULET_DIE=before:MARK` when the commit is asked for, `after:MARK` when the file has
 * it, and nobody was told.
 *
 * @module
 */
import { Thread } from "../../../relay/stores/sqlite/thread.ts";

const [when, mark = ""] = (Deno.env.get("RIVULET_DIE") ?? "").split(":");

interface AnyThread {
  ask(request: unknown): Promise<unknown>;
}

// A thread of any kind of requests.
const prototype = Thread.prototype as unknown as AnyThread;
const { ask } = prototype;

prototype.ask = async function (
  this: AnyThread,
  request: unknown,
): Promise<unknown> {
  const isMarked = mark !== "" && JSON.stringify(request).includes(mark);
  if (isMarked && when === "before") Deno.kill(Deno.pid, "SIGKILL");
  const answer = await ask.call(this, request);
  if (isMarked) Deno.kill(Deno.pid, "SIGKILL");
  return answer;
};
