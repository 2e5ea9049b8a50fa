import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { withoutToken } from "../../../relay/rights/without_token.ts";
import { propertyParameters } from "../../support/property.ts";

Deno.test("withoutToken leaves out tokens, and nothing else", () => {
  const table: [string, string][] = [
    ["/topics/a", "/topics/a"],
    ["/topics/a?", "/topics/a?"],
    ["/topics/a?access_token=T", "/topics/a"],
    ["/topics/a?access_token", "/topics/a"],
    ["/?a=1&access_token=T&b=%7e+%20", "/?a=1&b=%7e+%20"],
    ["/?access_token=T&a=1&access_token=U", "/?a=1"],
    ["/?access%5Ftoken=T&a", "/?a"],
    ["/?ACCESS_token=T", "/"],
    ["/?access_token=T#b?access_token=c", "/#b?access_token=c"],
    ["/?access_tokens=1", "/?access_tokens=1"],
    ["/?a=access_token=1", "/?a=access_token=1"],
    ["/access_token=1", "/access_token=1"],
    ["/?%zz=%&access_token=%zz", "/?%zz=%"],
    ["http://x/a?access_token=T&a=b", "http://x/a?a=b"],
    ["*", "*"],
    ["", ""],
  ];
  for (const [url, expected] of table) {
    assertEquals(withoutToken(url), expected, url);
  }
});

Deno.test("withoutToken leaves none that would be found", () => {
  const part = fc.constantFrom(
    ..."access_token|access%5ftoken|%61ccess_token|=|&|?|#|a|secret|%|+|/"
      .split("|"),
  );
  let found = 0;
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const url = `http://relay/?${parts.join("")}`;
      if (new URL(url).searchParams.has("access_token")) found++;
      const left = withoutToken(url);
      assert(!new URL(left).searchParams.has("access_token"), left);
      assertEquals(withoutToken(left), left);
    }),
    propertyParameters(3_000),
  );
  assert(found > 100);
});
