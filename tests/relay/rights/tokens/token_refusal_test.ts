import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { tokenRefusal } from "../../../../relay/rights/tokens/token_refusal.ts";
import { propertyParameters } from "../../../support/property.ts";

Deno.test("tokenRefusal says what RFC 6750 asks for", async () => {
  const required = tokenRefusal.required().toResponse();
  assertEquals(required.status, 401);
  // Without an error: who has sent nothing has done nothing wrong.
  assertEquals(
    required.headers.get("WWW-Authenticate"),
    'Bearer realm="rivulet"',
  );
  assertEquals((await required.json()).code, "token_required");

  const invalid = tokenRefusal.invalid("expired", "It has expired");
  assertEquals(
    invalid.toResponse().headers.get("WWW-Authenticate"),
    'Bearer realm="rivulet", error="invalid_token", error_description="It has expired"',
  );
  assertEquals(await invalid.toResponse().json(), {
    title: "Unauthorized",
    status: 401,
    code: "invalid_token",
    detail: "It has expired",
    reason: "expired",
  });
});

Deno.test("tokenRefusal says when keys are asked for again", () => {
  for (
    const [delay, expected] of [[-1, "1"], [0, "1"], [1_001, "2"]] as const
  ) {
    const { status, headers } = tokenRefusal.noKeys(delay);
    assertEquals([status, headers["Retry-After"]], [503, expected]);
  }
});

Deno.test("tokenRefusal quotes nothing that would end the quoting", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (detail) => {
      const { headers } = tokenRefusal.invalid("claims", detail);
      assertMatch(
        headers["WWW-Authenticate"] ?? "",
        /^Bearer realm="rivulet", error="invalid_token", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]*"$/,
      );
    }),
    propertyParameters(500),
  );
  const { headers } = tokenRefusal.invalid("claims", 'a"b\\c\r\nd\u{1f600}');
  assertMatch(headers["WWW-Authenticate"] ?? "", /="a'b'c''d''?"$/);
});
