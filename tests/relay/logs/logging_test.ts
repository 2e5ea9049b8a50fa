import { assert, assertEquals } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { startLogging } from "../../../relay/logs/logging.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

const logger = getLogger(["rivulet", "relay", "test"]);

Deno.test("startLogging writes from its level on, until it ends", async () => {
  let written = "";
  const write = (bytes: Uint8Array): Promise<void> => {
    written += new TextDecoder().decode(bytes);
    return Promise.resolve();
  };
  {
    await using _logging = await startLogging({
      level: "warning",
      format: { kind: "text", colors: false },
      write,
    });
    logger.info("not this");
    logger.warning("this {thing}", { thing: "one" });
    logger.error("and this");
    getLogger(["elsewhere"]).error("not that");
  }
  logger.error("too late");
  assertEquals(
    written.replaceAll(/^\S+ /gm, ""),
    "[WRN] rivulet·relay·test: this one\n[ERR] rivulet·relay·test: and this\n",
  );
});

Deno.test("startLogging ends although nobody takes the last lines", async () => {
  const clock = new FakeClock();
  const logging = await startLogging({
    level: "info",
    format: { kind: "json" },
    write: () => new Promise(() => {}),
    clock,
  });
  logger.info("nobody reads this");
  let hasEnded = false;
  const ended = logging[Symbol.asyncDispose]().then(() => {
    hasEnded = true;
  });
  await clock.advance(100);
  assert(!hasEnded);
  await clock.advance(1_000);
  await ended;
});

Deno.test("startLogging says, in its own format, what was lost", async () => {
  const written: string[] = [];
  let take = (): void => {};
  const logging = await startLogging({
    level: "info",
    format: { kind: "json" },
    write(bytes) {
      written.push(new TextDecoder().decode(bytes));
      return new Promise((resolve) => take = resolve);
    },
  });
  const filler = "x".repeat(4_000);
  for (let line = 0; line < 1_000; line++) logger.info("{filler}", { filler });
  const ended = logging[Symbol.asyncDispose]();
  for (let round = 0; round < 3; round++) {
    take();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
  await ended;
  const lines = written.join("").trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  const { level, properties } = lines.at(-1);
  assertEquals(level, "WARN");
  assertEquals(lines.length - 1 + properties.count, 1_000);
});
