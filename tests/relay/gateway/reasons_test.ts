// The reasons given for a provider that could not be asked.
import { assertEquals } from "@std/assert";
import { Reasons } from "../../../relay/gateway/reasons.ts";
import type { ProviderRequest } from "../../../relay/gateway/provider_request.ts";

Deno.test("A7: the reason of a failure is made without its stack, which is dear", () => {
  const request = {
    asked: { url: new URL("https://provider.test/v1/responses"), headers: [] },
    headers: [["authorization", "Bearer open-sesame-1"]],
  } as unknown as ProviderRequest; // of which no more is read
  const reasons = new Reasons(request);
  const cause = new Error("sent open-sesame-1 to https://a.test/?q=1");
  const error = new TypeError("fetch failed", { cause });
  for (const thrown of [error, cause]) {
    Object.defineProperty(thrown, "stack", {
      get: () => {
        throw new Error("The stack was written");
      },
    });
  }
  const reason = reasons.ofThrown(error);
  assertEquals(reason.includes("open-sesame"), false, reason);
  assertEquals(reason.includes("q=1"), false, reason);
  assertEquals(reason.startsWith("fetch failed: sent "), true, reason);
  const text = reasons.ofThrown("no https://a.test/?q=1");
  assertEquals(text.includes("q=1"), false, text);
});
