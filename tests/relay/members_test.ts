import { assertEquals } from "@std/assert";
import { Members } from "../../relay/members.ts";

Deno.test("Members has those that were added and not deleted", () => {
  const members = new Members<{ name: string }>();
  const places = ["a", "b", "c"].map((name) => members.add({ name }));
  members.delete(places[1]!);
  assertEquals([...members].map(({ name }) => name), ["a", "c"]);
  assertEquals(members.size, 2);
  assertEquals(members.add({ name: "d" }), places[1]);
  assertEquals([...members].map(({ name }) => name), ["a", "d", "c"]);
});

Deno.test("Members gives each of those that stay once while others come and go", () => {
  const members = new Members<{ place: number }>();
  const all = Array.from({ length: 6 }, () => {
    const member = { place: 0 };
    member.place = members.add(member);
    return member;
  });
  const seen = [];
  for (const member of members) {
    seen.push(member.place);
    const next = all[member.place + 1];
    if (member.place % 2 === 0 && next) members.delete(next.place);
  }
  assertEquals(seen, [0, 2, 4]);
  assertEquals(members.size, 3);
});

Deno.test("Members begins anew when many have gone", () => {
  const members = new Members<object>();
  const places = Array.from({ length: 5_000 }, () => members.add({}));
  for (const place of places) members.delete(place);
  assertEquals(members.size, 0);
  assertEquals([...members], []);
  assertEquals(members.add({}), 0);
});
