// A process that is killed while it makes room in a file that is full gives up the oldest
// ended topics, each as a whole, and nothing else.
import { assert, assertEquals } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { SqliteStore } from "../../../../relay/stores/sqlite/sqlite_store.ts";
import {
  EVERYTHING,
  findLog,
  readData,
  UNBOUNDED,
} from "../../../../relay/testing/contract_world.ts";
import { seedOf } from "../../../support/property.ts";
import { TemporaryFolder } from "../../../support/relay/sqlite_world.ts";
import { LIMIT, within } from "../../../support/within.ts";

/** The number of kills: `RIVULET_KILLS=300 deno task test ...`. */
const KILLS = Number(Deno.env.get("RIVULET_KILLS") ?? 4);

/** The bytes of the file: those of some ten topics. */
const BOUND = 1024 * 1024;

/** Lets the program fill some topics, and kills it; returns what it has said. */
async function fillAndKill(path: string, lines: number): Promise<string[]> {
  const program = new URL("bound_program.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, path, `${BOUND}`],
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
  return said.filter((line) => /^t\d{5} .{12}$/.test(line));
}

Deno.test("SqliteStore gives up the oldest topics alone when its process is killed at its bound", async () => {
  await using folder = new TemporaryFolder();
  const path = `${folder.path}/store.db`;
  const seed = seedOf("kills at the bound");
  /** The epochs of topics that have ended, by their names. */
  const said = new Map<string, string>();
  let given = 0;
  for (let round = 0; round < KILLS; round++) {
    const lines = 8 + Math.abs(seed * (round + 1) * 7_919) % 20;
    const more = await within(
      fillAndKill(path, lines),
      LIMIT,
      `round ${round}`,
    );
    for (const line of more) {
      const [name = "", epoch = ""] = line.split(" ");
      // One whose end was kept, and not said, is said by the next program.
      assertEquals(said.get(name) ?? epoch, epoch);
      said.set(name, epoch);
    }
    assert(Deno.statSync(path).size <= BOUND);
    // Without a bound, it makes no room itself.
    await using store = new SqliteStore({
      path,
      sync: "normal",
      retention: UNBOUNDED,
      clock: new FakeClock(),
    });
    await store.open();
    const names = store.list(EVERYTHING).map(({ name }) => name);
    const kept = [...said.keys()].filter((name) => names.includes(name));
    assertEquals(kept, [...said.keys()].slice(-kept.length));
    // The file is not given up as a whole: a topic has some 80 kB.
    assert(kept.length >= Math.min(said.size, 5), `${kept.length} are left`);
    given = said.size - kept.length;
    for (const name of kept) {
      using log = await findLog(store, name);
      assertEquals(log.epoch, said.get(name));
      assertEquals(log.ended?.status, "complete");
      const data = await readData(log);
      assertEquals(
        data.map((text) => text.replace(/x+$/, "")),
        Array.from({ length: 20 }, (_, index) => `${name}:${index + 1}`),
      );
    }
  }
  assert(given > 0, "the file had room for all");
});
