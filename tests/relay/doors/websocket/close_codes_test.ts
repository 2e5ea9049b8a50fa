import { assert, assertEquals } from "@std/assert";
import { CLOSINGS } from "../../../../relay/doors/websocket/close_codes.ts";

/** The longest reason that fits into a close frame, in bytes (RFC 6455, section 5.5). */
const LONGEST_TEXT = 123;

Deno.test("A close code says by its range whether a client may resume", () => {
  for (const [name, { code, reconnect, text }] of Object.entries(CLOSINGS)) {
    if (code >= 4_000) assertEquals(reconnect, code < 4_500, name);
    for (const other of Object.values(CLOSINGS)) {
      if (other.code === code) assertEquals(other.reconnect, reconnect, name);
    }
    assert(new TextEncoder().encode(text).length <= LONGEST_TEXT, name);
  }
});
