import { assert, assertEquals } from "@std/assert";
import { seedOf } from "../support/property.ts";
import { soak, type SoakOptions } from "../support/fetch/reconnect_soak.ts";

const OPTIONS: Omit<SoakOptions, "seed"> = {
  upstreams: 50,
  events: 500,
  maxCut: 4_500,
};

Deno.test({
  name: "streamEvents loses and repeats nothing over a thousand reconnections",
  sanitizeOps: true,
  sanitizeResources: true,
  async fn() {
    const seed = seedOf("soak_test.ts");
    const { requests, open, listeners, ids, wrong } = await soak({
      ...OPTIONS,
      seed,
    });
    const expected = Array.from({ length: OPTIONS.events }, (_, i) => i + 1);
    assertEquals(ids.length, OPTIONS.upstreams);
    for (const [upstream, seen] of ids.entries()) {
      assertEquals(seen, expected, `stream ${upstream}`);
    }
    assertEquals(wrong, 0);
    assertEquals([open, listeners], [0, 0]);
    console.log(`${requests} requests`);
    assert(requests - OPTIONS.upstreams >= 1_000, `${requests} requests`);
  },
});

Deno.test("streamEvents keeps nothing of the connections that are over", async () => {
  const options = { ...OPTIONS, seed: seedOf("soak_test.ts") };
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--no-check",
      "--v8-flags=--expose-gc",
      new URL("../support/fetch/reconnect_soak.ts", import.meta.url).href,
      JSON.stringify(options),
    ],
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  assertEquals(code, 0, decoder.decode(stderr));
  const { requests, growth, perStream } = JSON.parse(decoder.decode(stdout));
  console.log(
    `${requests} requests: ${growth} bytes more; one stream: ${perStream}`,
  );
  assert(requests >= 3_000, `${requests} requests`);
  // 110 bytes for each connection would be seen.
  assert(growth < 500_000, `${growth} bytes more`);
  // 100 bytes for each of 5,000, as a listener on a signal takes.
  assert(perStream < 500_000, `${perStream} bytes more while it goes on`);
});
