import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { pacedBody } from "../../../relay/doors/paced_body.ts";
import { jsonString } from "../../../relay/doors/text_pieces.ts";
import { propertyParameters } from "../../support/property.ts";

const SLICE = 16 * 1024;

Deno.test("jsonString writes what JSON.stringify does, in small pieces", () => {
  const unit = fc.constantFrom(
    "a",
    '"',
    "\n",
    "\0",
    "é",
    "\u{1F600}",
    "\uD83D",
    "\uDE00",
  );
  const text = fc.tuple(
    fc.integer({ min: SLICE - 3, max: SLICE + 3 }),
    fc.array(unit, { maxLength: 12 }),
    fc.integer({ min: 0, max: 2 * SLICE }),
  ).map(([before, units, after]) =>
    "x".repeat(before) + units.join("") + "\u0001".repeat(after)
  );
  fc.assert(
    fc.property(text, (text) => {
      const pieces = [...jsonString(text)];
      assert(pieces.every(({ length }) => length <= 6 * (SLICE + 1)));
      assertEquals(pieces.join(""), JSON.stringify(text));
    }),
    propertyParameters(200),
  );
});

Deno.test("A3: pacedBody encodes a long body as it is read", async () => {
  let taken = 0;
  let ended = 0;
  function* pieces(): Generator<string, void> {
    for (; taken < 1_000; taken++) yield "x".repeat(SLICE);
  }
  const options = { client: "c", onEnd: (): number => ended++ };
  const body = await pacedBody(pieces(), options);
  assert(body instanceof ReadableStream);
  const reader = body.getReader();
  await reader.read();
  assert(taken < 20, `${taken} pieces were made for one read`);
  assertEquals(ended, 0);
  await reader.cancel();
  assertEquals(ended, 1);

  taken = 990;
  assertEquals(
    (await new Response(await pacedBody(pieces(), options)).text()).length,
    10 * SLICE,
  );
  assertEquals(ended, 2);
  assertEquals(await pacedBody(["a", "b"], options), "ab");
  assertEquals(ended, 3);
});
