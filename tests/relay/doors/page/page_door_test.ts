import { assert, assertEquals, assertMatch } from "@std/assert";
import { gzipSync } from "node:zlib";
import {
  HTML,
  ICON,
  SCRIPT,
  STYLE,
} from "../../../../relay/doors/page/files.ts";
import { PAGE_PATHS } from "../../../../relay/doors/page/page_door.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { JWT_KEY } from "../../../support/rights/token.ts";

/** The most bytes of the page, compressed as the relay sends it. */
const LIMIT = 15 * 1_024;

Deno.test("The page's files are those that its source makes", async () => {
  // In a process of its own, as esbuild's outlives `stop`.
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ".ci/build_page.ts", "--check"],
    cwd: new URL("../../../../", import.meta.url),
  }).output();
  assert(success, new TextDecoder().decode(stderr));
});

Deno.test("The page is small", () => {
  const sizes = [HTML, STYLE, SCRIPT, ICON]
    .map((text) => gzipSync(text, { level: 9 }).length);
  const size = sizes.reduce((sum, size) => sum + size);
  assert(size < LIMIT, `${size} bytes: ${sizes.join(", ")}`);
});

Deno.test("GET / answers anybody with the page, and a policy that lets it load its own files alone", async () => {
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const page = await relay.request("/");
  assertEquals(page.status, 200);
  assertEquals(page.headers.get("content-type"), "text/html; charset=utf-8");
  assertEquals(page.headers.get("x-content-type-options"), "nosniff");
  assertEquals(page.headers.get("referrer-policy"), "no-referrer");
  assertEquals(page.headers.get("cross-origin-opener-policy"), "same-origin");
  assertEquals(
    page.headers.get("content-security-policy"),
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
      "connect-src 'self'; base-uri 'none'; form-action 'none'; " +
      "frame-ancestors 'none'; require-trusted-types-for 'script'",
  );
  const html = await page.text();
  assertEquals(html, HTML);
  // Each file that it names is there, and none is elsewhere.
  const named = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)]
    .map(([, path = ""]) => `/${path}`);
  assertEquals(["/", ...named].sort(), [...PAGE_PATHS].sort());
  for (const path of PAGE_PATHS) {
    const answer = await relay.request(path);
    assertEquals(answer.status, 200, path);
    assert((await answer.text()).length > 100, path);
    const etag = answer.headers.get("etag") ?? "";
    assertMatch(etag, /^W\/"[\w-]{16}"$/);
    assertEquals(answer.headers.get("cache-control"), "no-cache");
    const again = await relay.request(path, {
      headers: { "If-None-Match": `"other", ${etag}` },
    });
    assertEquals([again.status, await again.text()], [304, ""], path);
  }
});

Deno.test("The page is compressed for whoever takes that", async () => {
  await using relay = await startRelay();
  // `fetch` says itself what it takes, and decodes it.
  const cases: [string, string | null][] = [
    ["gzip, deflate, br", "gzip"],
    ["br;q=1.0, GZIP;q=0.5", "gzip"],
    ["gzip;q=0", null],
    ["identity", null],
    ["x-gzip-not", null],
  ];
  for (const [accepted, coding] of cases) {
    const response = await relay.request("/page/script.js", {
      headers: { "Accept-Encoding": accepted },
    });
    assertEquals(await response.text(), SCRIPT, accepted);
    assertEquals(response.headers.get("vary"), "Accept-Encoding");
    const isGzipped = response.headers.get("content-length") !==
      String(new TextEncoder().encode(SCRIPT).length);
    assertEquals(isGzipped, coding !== null, accepted);
  }
});

Deno.test("A relay without its page answers / with 404", async () => {
  await using relay = await startRelay({ page: false });
  for (const path of PAGE_PATHS) {
    const response = await relay.request(path);
    assertEquals([response.status, (await response.json()).code], [
      404,
      "not_found",
    ]);
  }
});
