// The file of a store is copied while a relay writes it.
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
} from "@std/assert";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { type ProgramRun, runDeno } from "../../support/run_deno.ts";
import { LIMIT, until } from "../../support/within.ts";

function backup(
  paths: readonly string[],
  permissions: readonly string[] = ["-A"],
): Promise<ProgramRun> {
  return runDeno([
    ...["run", "--no-prompt", ...permissions, "relay/main.ts", "backup"],
    ...paths,
  ]);
}

/** Publishes numbers to a topic, one after the other, until it is disposed of. */
class Publisher implements AsyncDisposable {
  /** The numbers that were acknowledged. */
  acknowledged = 0;
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(url: string) {
    this.#done = this.#publish(url);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #publish(url: string): Promise<void> {
    for (let number = 1; !this.#isOver; number++) {
      const response = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "text/plain" },
        body: `${number}`,
      });
      assertEquals(response.status, 200, await response.text());
      this.acknowledged = number;
    }
  }
}

async function page(
  url: string,
): Promise<{ epoch: string; next: number; events: { data: string }[] }> {
  const response = await fetch(`${url}?limit=500`, {
    headers: { Accept: "application/json" },
  });
  return await response.json();
}

Deno.test("backup copies the store of a relay that is written meanwhile", async () => {
  await using folder = new TemporaryFolder();
  const file = `${folder.path}/store.db`;
  const copy = `${folder.path}/copy.db`;
  let before: number;
  let epochs: { open: string; ended: string };
  {
    await using relay = await RelayCommand.start({
      args: ["--store", `sqlite:${file}`],
    });
    const ended = `${relay.url}/topics/ended`;
    for (const path of ["", "/end"]) {
      const response = await fetch(`${ended}${path}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: path === "" ? '{"data":"last"}' : '{"status":"complete"}',
      });
      assert(response.ok, await response.text());
    }
    await using publisher = new Publisher(`${relay.url}/topics/open`);
    await until(
      () => publisher.acknowledged > 20 || undefined,
      LIMIT,
      "some events",
    );
    before = publisher.acknowledged;
    const permissions = [
      `--allow-read=${folder.path}`,
      `--allow-write=${folder.path}`,
    ];
    const run = await backup([file, copy], permissions);
    assertEquals(
      [run.code, run.stdout],
      [0, `Copied ${file} to ${copy}\n`],
      run.stderr,
    );
    epochs = {
      open: (await page(`${relay.url}/topics/open`)).epoch,
      ended: (await page(ended)).epoch,
    };
    assert(publisher.acknowledged > before, "the relay went on meanwhile");
  }
  assertEquals((Deno.statSync(copy).mode ?? 0o600) & 0o777, 0o600);
  await using relay = await RelayCommand.start({
    args: ["--store", `sqlite:${copy}`],
  });
  const open = await page(`${relay.url}/topics/open`);
  const data = open.events.map((event) => event.data);
  assert(open.next > before, `${open.next - 1} events of ${before}`);
  assertEquals(data, data.map((_, index) => `${index + 1}`));
  assertNotEquals(open.epoch, epochs.open, "more was shown of it");
  const ended = await page(`${relay.url}/topics/ended`);
  assertEquals(ended.epoch, epochs.ended);
  assertEquals(ended.events, [{ data: "last" }]);
});

Deno.test("backup refuses what it cannot copy, and leaves it as it is", async (t) => {
  await using folder = new TemporaryFolder();
  const text = `${folder.path}/text`;
  Deno.writeTextFileSync(text, "Dear diary, ".repeat(1_000));
  const table: [string, string[], number, RegExp][] = [
    ["one path", [text], 2, /FILE COPY: expected two paths, got 1/],
    ["a file that is not there", [`${text}.none`, `${text}.copy`], 1, /ENOENT/],
    ["a file of another program", [text, `${text}.copy`], 1, /another program/],
    ["a copy that is there", [text, text], 1, /there is a file already/],
  ];
  for (const [name, paths, status, message] of table) {
    await t.step(name, async () => {
      const { code, stderr } = await backup(paths);
      assertEquals(code, status, stderr);
      assertMatch(stderr, /^rivulet backup: [^\n]+\n$/);
      assertMatch(stderr, message);
    });
  }
  assertEquals(
    [...Deno.readDirSync(folder.path)].map(({ name }) => name),
    ["text"],
  );
});
