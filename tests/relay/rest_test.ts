// The moments at which the runtime looks at its sockets.
import { setImmediate } from "node:timers/promises";
import { assertEquals } from "@std/assert";
import { Rest } from "../../relay/rest.ts";
import { LIMIT, until } from "../support/within.ts";

/** Rounds of the event loop that are more than a rest takes, if nothing is in its way. */
const ROUNDS = 50;

Deno.test("Rest begins when nobody works, and all go on together", async () => {
  const rest = new Rest();
  const did: string[] = [];
  const endWork = rest.work();
  rest.wait(() => did.push("a"));
  for (let round = 0; round < ROUNDS; round++) await setImmediate();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(did, []);
  rest.wait(() => did.push("b"));
  rest.wait(() => did.push("given up"))();
  assertEquals(rest.waiting, 2);
  endWork();
  await until(() => did[0] && true, LIMIT, "the end of the rest");
  assertEquals(did, ["a", "b"]);
  assertEquals(rest.waiting, 0);
});

Deno.test("Rest leaves no timer behind when nobody waits any more", () => {
  const rest = new Rest();
  const giveUp = rest.wait(() => {});
  rest.wait(() => {})();
  giveUp();
});
