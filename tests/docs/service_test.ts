// docs/rivulet.service, as far as it can be tried without systemd: what it starts, as
// another user and without a network, from folders that were made as docs/production.md
// says.
import { assert, assertEquals } from "@std/assert";
import { upgrade } from "../support/docs/upgrade.ts";

Deno.test({
  name:
    "A service is upgraded and rolled back, and its subscribers miss nothing",
  ignore: Deno.build.os === "windows", // there a signal ends a process at once
  async fn() {
    const { data, published, epochs, notices, stops, answers, restored } =
      await upgrade(
        ["old", "new", "old"].map((version) => ({ version })),
      );
    assertEquals(data, published);
    assertEquals([epochs.length, restored], [1, false]);
    assert(!notices.includes("gap"));
    assertEquals(answers, [200, 200, 401, 200, 200, 401, 200, 200, 401]);
    for (const { code, stderr } of stops) {
      assertEquals(code, 0, stderr);
      assert(!/NotCapable|Requires/.test(stderr), stderr);
    }
  },
});
