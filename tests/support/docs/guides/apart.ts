/**
 * Follows a guide in a network of its own, so that the ports that it names are free and
 * nothing is fetched.
 *
 * @module
 */
import { z } from "zod";
import { runApart } from "../../apart.ts";
import type { Part } from "./follow.ts";
import { GUIDES } from "./guides.ts";

/** The commands and programs that were followed, and how long it took. */
const FollowedApart = z.object({
  /** The number of commands that were typed. */
  commands: z.int(),
  /** The number of programs that were saved and run. */
  programs: z.int(),
  /** The commands that were not typed, each with the reason. */
  left: z.array(z.string()),
  /** The steps of a page that is followed in a way of its own, in seconds. */
  steps: z.array(z.object({ name: z.string(), seconds: z.number() })),
  /** The time for all of it, in seconds. */
  seconds: z.number(),
});
type FollowedApart = z.infer<typeof FollowedApart>;

/**
 * Follows a guide.
 *
 * @throws {Error} If a command or a program of it fails.
 */
export async function followApart(
  page: string,
  part: Part,
): Promise<FollowedApart> {
  await using online = await GUIDES.find((guide) => guide.page === page)
    ?.online?.();
  const { code, stdout, stderr } = await runApart(
    new URL("one.ts", import.meta.url),
    [page, part],
    online?.env,
  );
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(decoder.decode(stderr));
  const [last = ""] = decoder.decode(stdout).trimEnd().split("\n").slice(-1);
  return FollowedApart.parse(JSON.parse(last));
}
