import { assert, assertEquals } from "@std/assert";

const MEBI = 2 ** 20;

/** The longest chunks that are parsed in place, as documented, in code units. */
const IN_PLACE: Record<string, number> = {
  SseParser: 64 * 1024,
  SseParserStream: 16 * 1024,
  readEvents: 0,
};

interface Result {
  way: string;
  text: string;
  size: number;
  bytes: number;
}

Deno.test("400 strings of 30 characters do not keep the chunks alive that they came in", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--v8-flags=--expose-gc",
      new URL("./memory_probe.ts", import.meta.url).pathname,
    ],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const results: Result[] = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(results.length, 27);
  for (const { way, text, size, bytes } of results) {
    const message = `${way}, ${text}, ${size / 1024} KiB: ${bytes} bytes`;
    if (size <= (IN_PLACE[way] ?? 0)) {
      // Never more than the chunks themselves.
      assert(bytes < 400 * size * (text === "two-byte" ? 2.1 : 1.1), message);
    } else {
      assert(bytes < 2 * MEBI, message);
    }
  }
});
