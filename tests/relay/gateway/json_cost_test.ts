import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { assertCheap, MAX_COST } from "../../../relay/gateway/json_cost.ts";
import { Problem } from "../../../relay/problem.ts";
import { atOnce } from "../../../relay/slices.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { propertyParameters } from "../../support/property.ts";

const MIB = 1_024 * 1_024;

const bytesOf = (json: string): Uint8Array => new TextEncoder().encode(json);

/** Returns the cost of a value, counted on what `JSON.parse` returns. */
function costOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const fields = Object.values(value);
  const names = Array.isArray(value) ? 0 : fields.length;
  return 10 + 10 * names + Math.max(fields.length - 1, 0) +
    fields.reduce<number>((sum, field) => sum + costOf(field), 0);
}

Deno.test("A2: assertCheap counts what is in a body of JSON, and not what is in its texts", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), (value, text) => {
      const body = { value, text: `${text}"[{,:\\` };
      const json = JSON.stringify(body);
      // As many copies as are just cheap, and one more.
      const cost = costOf(JSON.parse(json)) + 1;
      const count = Math.floor((MAX_COST - 10 + 1) / cost);
      const copies = (count: number): Uint8Array =>
        bytesOf(`[${Array(count).fill(json).join()}]`);
      atOnce(assertCheap(copies(count)));
      const error = assertThrows(
        () => atOnce(assertCheap(copies(count + 1))),
        Problem,
      );
      assertEquals([error.status, error.code], [413, "body_too_large"]);
    }),
    propertyParameters(10),
  );
});

Deno.test("A2: assertCheap looks at a body in steps, and ends at the first value too many", () => {
  const steps = assertCheap(bytesOf(`{"a":"${"[".repeat(MIB)}"}`));
  let count = 0;
  while (!steps.next().done) count++;
  assert(count >= 16, `${count} steps`);

  const costly = assertCheap(bytesOf("[".repeat(8 * MIB)));
  let looked = 0;
  assertThrows(() => {
    while (!costly.next().done) looked++;
  }, Problem);
  assert(looked <= 1, `${looked} steps`);
});

Deno.test("A2: Gateway refuses JSON that takes too long to be parsed, and asks no provider", async () => {
  await using world = await startGateway();
  for (const many of ["{},", "[],", "0,", '{"a":0},']) {
    const response = await world.request("/v1/responses", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: `{"stream":true,"input":[${many.repeat(600_000)}0]}`,
    });
    const { code } = await response.json();
    assertEquals([response.status, code], [413, "body_too_large"], many);
  }
  assertEquals(world.provider.count, 0);
});
