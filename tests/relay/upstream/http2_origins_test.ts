import { assertEquals } from "@std/assert";
import { Http2Origins } from "../../../relay/upstream/http2_origins.ts";

Deno.test("Http2Origins knows the newest origins, however many there were", () => {
  const origins = new Http2Origins();
  for (let index = 0; index < 1_200; index++) {
    origins.add(`https://${index}.example`);
    origins.add("https://0.example");
  }
  assertEquals(origins.size, 1_000);
  assertEquals(origins.has("https://1199.example"), true);
  assertEquals(origins.has("https://1.example"), false);
});
