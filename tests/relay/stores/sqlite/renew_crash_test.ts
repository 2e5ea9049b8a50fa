// A process that is killed while it renews a topic leaves the old epoch or the new one
// under the name, and never none.
import { assert, assertEquals } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { SqliteStore } from "../../../../relay/stores/sqlite/sqlite_store.ts";
import {
  readData,
  UNBOUNDED,
} from "../../../../relay/testing/contract_world.ts";
import { seedOf } from "../../../support/property.ts";
import { TemporaryFolder } from "../../../support/relay/sqlite_world.ts";
import { LIMIT, within } from "../../../support/within.ts";

/** The number of kills: `RIVULET_KILLS=300 deno task test ...`. */
const KILLS = Number(Deno.env.get("RIVULET_KILLS") ?? 8);

/** Lets the program renew its topic some times, and kills it; returns the epochs that it has said. */
async function renewAndKill(path: string, lines: number): Promise<string[]> {
  const program = new URL("renew_program.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, path],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const said: string[] = [];
  const output = child.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of output) {
    said.push(line);
    if (said.length === lines) child.kill("SIGKILL");
  }
  await child.status;
  // The last line may be cut off.
  return said.filter((epoch) => epoch.length === 12);
}

Deno.test("SqliteStore has the old epoch or the new one when its process is killed at a renewal", async () => {
  await using folder = new TemporaryFolder();
  const path = `${folder.path}/store.db`;
  const seed = seedOf("kills at renewals");
  const said: string[] = [];
  for (let round = 0; round < KILLS; round++) {
    const lines = 1 + Math.abs(seed * (round + 1) * 7_919) % 40;
    said.push(
      ...await within(renewAndKill(path, lines), LIMIT, `round ${round}`),
    );
    await using store = new SqliteStore({
      path,
      sync: "full",
      retention: UNBOUNDED,
      clock: new FakeClock(),
    });
    await store.open();
    const list = await store.list({ after: "", prefix: "", limit: 10 });
    assertEquals(list.map(({ name }) => name), ["a"]);
    using log = await store.find("a");
    assert(log, "there is always one");
    // Every epoch that was said is there, each after the one before.
    const chain = [log.epoch];
    for (let follows = log.facts.follows; follows !== undefined;) {
      using former = await store.find("a", follows);
      assert(former, `the former epoch ${follows}`);
      assertEquals(former.ended?.status, "complete");
      // A program that was killed before the end has gone on with it.
      assertEquals(new Set(await readData(former)), new Set([follows]));
      chain.unshift(follows);
      follows = former.facts.follows;
    }
    assertEquals(chain.slice(1).filter((epoch) => said.includes(epoch)), said);
  }
});
