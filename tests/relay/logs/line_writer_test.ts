import { assert, assertEquals } from "@std/assert";
import { LineWriter } from "../../../relay/logs/line_writer.ts";

/** A pipe whose reader takes what is in it when the test says so. */
class Pipe {
  readonly written: string[] = [];
  #pending: PromiseWithResolvers<void> | undefined;

  readonly write = (bytes: Uint8Array): Promise<void> => {
    assert(!this.#pending, "one at a time");
    this.written.push(new TextDecoder().decode(bytes));
    this.#pending = Promise.withResolvers();
    return this.#pending.promise;
  };

  async settle(error?: Error): Promise<void> {
    const pending = this.#pending;
    assert(pending, "something is being written");
    this.#pending = undefined;
    if (error) pending.reject(error);
    else pending.resolve();
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
}

const lost = (count: number): string => `lost ${count}\n`;

Deno.test("LineWriter writes at once, and then all that has come meanwhile", async () => {
  const pipe = new Pipe();
  const writer = new LineWriter({ write: pipe.write, lost });
  writer.write("a\n");
  assertEquals(pipe.written, ["a\n"]);
  writer.write("b\n");
  writer.write("c\n");
  assertEquals(pipe.written, ["a\n"]);
  await pipe.settle();
  assertEquals(pipe.written, ["a\n", "b\nc\n"]);
  await pipe.settle();
  await writer.settled();
  writer.write("d\n");
  assertEquals(pipe.written, ["a\n", "b\nc\n", "d\n"]);
});

Deno.test("LineWriter settles when all is written", async () => {
  const pipe = new Pipe();
  const writer = new LineWriter({ write: pipe.write, lost });
  await writer.settled();
  writer.write("a\n");
  writer.write("b\n");
  let isSettled = false;
  const settled = writer.settled().then(() => {
    isSettled = true;
  });
  await pipe.settle();
  assertEquals(isSettled, false);
  await pipe.settle();
  await settled;
});

Deno.test("LineWriter loses what there is no room for, and says where and how much", async () => {
  const pipe = new Pipe();
  const writer = new LineWriter({ write: pipe.write, lost, maxWaiting: 6 });
  writer.write("stuck\n");
  for (const line of ["b\n", "c\n", "d\n", "e\n", "f\n"]) writer.write(line);
  await pipe.settle();
  assertEquals(pipe.written, ["stuck\n", "b\nc\nd\nlost 2\n"]);
  for (const line of ["g\n", "h\n", "i\n", "j\n"]) writer.write(line);
  await pipe.settle();
  assertEquals(pipe.written.slice(2), ["g\nh\ni\nlost 1\n"]);
  await pipe.settle();
  await writer.settled();
  writer.write("k\n");
  assertEquals(pipe.written.slice(3), ["k\n"]);
});

Deno.test("LineWriter keeps no more than it may of what nobody reads", async () => {
  const pipe = new Pipe();
  const writer = new LineWriter({ write: pipe.write, lost, maxWaiting: 1_000 });
  for (let line = 0; line < 100_000; line++) writer.write("0123456789\n");
  await pipe.settle();
  const [first, waiting = ""] = pipe.written;
  assertEquals(first, "0123456789\n");
  const kept = waiting.split("0123456789\n").length - 1;
  assertEquals(kept, 90);
  assertEquals(waiting.split("\n").at(-2), `lost ${100_000 - 1 - kept}`);
});

Deno.test("LineWriter counts what could not be written, and goes on", async () => {
  const pipe = new Pipe();
  const writer = new LineWriter({ write: pipe.write, lost });
  writer.write("a\n");
  writer.write("b\n");
  await pipe.settle(new Error("nobody reads"));
  assertEquals(pipe.written, ["a\n", "b\n"]);
  await pipe.settle(new Error("nobody reads"));
  await writer.settled();
  writer.write("c\n");
  assertEquals(pipe.written.slice(2), ["lost 2\nc\n"]);
});
