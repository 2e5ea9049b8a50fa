import { setImmediate } from "node:timers/promises";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Slices } from "../../relay/slices.ts";

/** The most steps of a turn. */
const MAX_STEPS = 64;

function* count(steps: number, onStep: () => void = () => {}): Generator<
  void,
  number
> {
  for (let step = 1; step < steps; step++) {
    onStep();
    yield;
  }
  onStep();
  return steps;
}

Deno.test("A3: Slices takes some steps of long work in a turn, and others have theirs", async () => {
  const slices = new Slices();
  let turn = 0;
  const inTurn: number[] = [];
  const onStep = (): void => void (inTurn[turn] = (inTurn[turn] ?? 0) + 1);
  const work = Promise.all(
    ["a", "b", "b"].map((lane) => slices.run(lane, count(500, onStep))),
  );
  let isOver = false;
  void work.then(() => isOver = true);
  while (!isOver) {
    await setImmediate();
    turn++;
  }
  assertEquals(await work, [500, 500, 500]);
  assertEquals(inTurn.reduce((sum, steps) => sum + (steps ?? 0), 0), 1_500);
  for (const steps of inTurn) assert((steps ?? 0) <= MAX_STEPS, `${steps}`);
  assertEquals(slices.waiting, 0);
});

Deno.test("A3: Slices does less of what is asked for in one turn than that takes besides", async () => {
  let now = 0;
  const slices = new Slices(() => now);
  const pieces: (number | Promise<number>)[] = [];
  // Readers that are quick: a piece is asked for as soon as the one before is written,
  // which takes as long as to make it.
  for (let at = 0; at < 60; at++) {
    pieces.push(slices.run(`${at}`, count(1, () => void now++)));
    now++;
  }
  const atOnce = pieces.filter((piece) => typeof piece === "number").length;
  assertEquals(atOnce, 6);
  assertEquals((await Promise.all(pieces)).length, 60);
});

Deno.test("Slices does little work at once", () => {
  assertEquals(new Slices().run("a", count(1)), 1);
});

Deno.test("Slices does the work of a lane in its order, and the lanes take turns", async () => {
  const slices = new Slices();
  const did: string[] = [];
  const run = (name: string, steps: number): Promise<unknown> =>
    Promise.resolve(slices.run(name.slice(0, 1), count(steps))).then(() =>
      did.push(name)
    );
  await Promise.all([run("a1", 2_000), run("a2", 10), run("b1", 100)]);
  assertEquals(did, ["b1", "a1", "a2"]);
});

Deno.test("Slices leaves no turn behind where nobody waits for anything", async () => {
  const slices = new Slices();
  let isWanted = true;
  const dropped: string[] = [];
  const work = function* (name: string): Generator<void, string> {
    try {
      yield* count(500);
      return name;
    } finally {
      if (!isWanted) dropped.push(name);
    }
  };
  for (const lane of ["a", "a", "b"]) {
    void slices.run(lane, work(lane), () => isWanted);
  }
  const kept = slices.run("c", work("c"));
  slices.sweep();
  assertEquals([slices.waiting, dropped], [4, []]);
  isWanted = false;
  slices.sweep();
  // The others have not begun.
  assertEquals([slices.waiting, dropped], [1, ["a"]]);
  assertEquals(await kept, "c");
  // The sanitizer sees whether a timer stays.
  void slices.run("a", work("a"), () => isWanted);
  slices.sweep();
  assertEquals(slices.waiting, 0);
});

Deno.test("Slices gives up what nobody waits for any more, and nothing stays", async () => {
  const slices = new Slices();
  let isWanted = true;
  let steps = 0;
  let isClosed = false;
  function* work(): Generator<void, void> {
    try {
      for (;;) {
        steps++;
        yield;
      }
    } finally {
      isClosed = true;
    }
  }
  const settled: string[] = [];
  void Promise.resolve(slices.run("a", work(), () => isWanted))
    .finally(() => settled.push("work"));
  const next = slices.run("a", count(10));
  assertEquals(slices.waiting, 2);
  isWanted = false;
  const before = steps;
  assertEquals(await next, 10);
  assertEquals(steps, before);
  assert(isClosed);
  assertEquals([slices.waiting, settled.length], [0, 0]);
});

Deno.test("Slices rejects work that throws, and goes on with the rest", async () => {
  const slices = new Slices();
  function* work(): Generator<void, void> {
    yield* Array<void>(200);
    throw new Error("wrong");
  }
  const wrong = Promise.resolve(slices.run("a", work()));
  const right = slices.run("a", count(10));
  await assertRejects(() => wrong, Error, "wrong");
  assertEquals(await right, 10);
});
