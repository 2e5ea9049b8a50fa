// A line is held to a `Set`, in whatever order places are pushed and taken out.
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Line, Place } from "../../relay/line.ts";

const PLACES = 6;

const step = fc.oneof(
  fc.record({
    kind: fc.constantFrom("push" as const, "delete" as const),
    place: fc.nat(PLACES - 1),
  }),
  fc.record({ kind: fc.constantFrom("shift" as const, "clear" as const) }),
);

Deno.test("Line has what a Set would have, in its order", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const places = Array.from(
      { length: PLACES },
      (_, index) => new Place(index),
    );
    const line = new Line<number>();
    const set = new Set<number>();
    for (const one of steps) {
      switch (one.kind) {
        case "push":
          line.push(places[one.place]!); // there are as many
          set.add(one.place);
          break;
        case "delete":
          line.delete(places[one.place]!); // there are as many
          set.delete(one.place);
          break;
        case "shift": {
          const [first] = set;
          assertEquals(line.shift(), first);
          if (first !== undefined) set.delete(first);
          break;
        }
        case "clear":
          line.clear();
          set.clear();
          break;
      }
      assertEquals([...line], [...set]);
      assertEquals([line.size, line.first], [set.size, [...set][0]]);
      const taken = places.filter(({ isTaken }) => isTaken);
      assertEquals(new Set(taken.map(({ holder }) => holder)), set);
    }
  }));
});

Deno.test("Line goes on when the one that it gave is taken out", () => {
  const line = new Line<number>();
  const places = [1, 2, 3].map((number) => new Place(number));
  for (const place of places) line.push(place);
  const seen: number[] = [];
  for (const number of line) {
    seen.push(number);
    line.delete(places[number - 1]!); // there are as many
  }
  assertEquals([seen, line.size], [[1, 2, 3], 0]);
});
