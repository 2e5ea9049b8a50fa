import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { HeaderList } from "../../relay/header_list.ts";

Deno.test("HeaderList has what Headers have, in the order in which it came", () => {
  const names = ["a", "B", "x-Y", "Accept", "set-cookie", "Set-Cookie", "z"];
  const header = fc.tuple(
    fc.constantFrom(...names),
    fc.stringMatching(/^[!-~\xa0-\xff]([ -~]{0,8}[!-~])?$/),
  );
  fc.assert(fc.property(fc.array(header), (pairs) => {
    const headers = new Headers(pairs);
    for (
      const list of [
        new HeaderList(pairs),
        HeaderList.fromRaw(pairs.flat()),
        new HeaderList(new HeaderList(pairs)),
        HeaderList.from(headers),
      ]
    ) {
      assertEquals([...list.toHeaders()], [...headers]);
      assertEquals([...list].sort(), [...headers].sort());
      assertEquals(list.toRaw(), [...list].flat());
      for (const name of names.map((name) => name.toLowerCase())) {
        assertEquals(list.get(name), headers.get(name), name);
        assertEquals(list.has(name), headers.has(name), name);
      }
    }
    const order = [...new Set(pairs.map(([name]) => name.toLowerCase()))];
    const listed = [
      ...new Set([...new HeaderList(pairs)].map(([name]) => name)),
    ];
    assertEquals(
      listed.filter((name) => name !== "set-cookie"),
      order.filter((name) => name !== "set-cookie"),
    );
  }));
});

Deno.test("HeaderList puts a header in place of others, and takes it out; a copy stays", () => {
  const list = new HeaderList([
    ["a", "1"],
    ["A", "2"],
    ["set-cookie", "b"],
    ["set-cookie", "c"],
  ]);
  const copy = new HeaderList(list);
  list.set("a", "3");
  list.set("set-cookie", "d");
  assertEquals(list.toRaw(), ["a", "3", "set-cookie", "d"]);
  list.delete("a");
  list.delete("set-cookie");
  assertEquals(list.toRaw(), []);
  assertEquals(list.get("set-cookie"), null);
  assertEquals(copy.toRaw(), [
    "a",
    "1, 2",
    "set-cookie",
    "b",
    "set-cookie",
    "c",
  ]);
});

Deno.test("HeaderList keeps the headers whose names pass a test, cookies too", () => {
  const headers = HeaderList.fromRaw(
    ["Set-Cookie", "a=1", "X-One", "1", "set-cookie", "b=2", "X-Two", "2"],
  );
  assertEquals([...headers.filter((name) => name !== "x-one")], [
    ["x-two", "2"],
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
  ]);
  assertEquals(
    [...headers.filter((name) => name !== "set-cookie")],
    [["x-one", "1"], ["x-two", "2"]],
  );
  assertEquals([...headers].length, 4);
});

Deno.test("HeaderList takes nothing that HTTP does not allow", () => {
  const bad = [["", "a"], ["a b", "c"], ["a\n", "b"], ["ä", "b"], ["a", "b\r"]]
    .concat([["a", "b\nc: d"], ["a", "\0"], ["a", "\u0100"]])
    .concat([["a", "b\x01c"], ["a", "\x7f"], ["a", "\x1b[2J"]]);
  for (const [name = "", value = ""] of bad) {
    assertThrows(() => new HeaderList([[name, value]]), TypeError);
    assertThrows(() => HeaderList.fromRaw([name, value]), TypeError);
    assertThrows(() => new HeaderList().set(name, value), TypeError);
  }
});

Deno.test("HeaderList takes thousands of headers in no time", () => {
  const raw = Array.from(
    { length: 5_000 },
    (_, index) => [`x-${index}`, "a"],
  ).flat();
  assertEquals(HeaderList.fromRaw(raw).toRaw(), raw);
});
