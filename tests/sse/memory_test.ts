import { assert, assertEquals } from "@std/assert";

const MEBI = 2 ** 20;

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
  assertEquals(results.length, 18);
  for (const { way, text, size, bytes } of results) {
    const message = `${way}, ${text}, ${size / 1024} KiB: ${bytes} bytes`;
    if (way === "SseParser" && size <= 64 * 1024) {
      // Parsed in place, as documented: never more than the chunks themselves.
      assert(bytes < 400 * size * (text === "two-byte" ? 2.1 : 1.1), message);
    } else {
      assert(bytes < 2 * MEBI, message);
    }
  }
});
