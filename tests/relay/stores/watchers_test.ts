import { assertEquals } from "@std/assert";
import { Watchers } from "../../../relay/stores/watchers.ts";
import type { StoredTopic } from "../../../relay/topics/store.ts";

function topic(name: string): StoredTopic {
  return {
    name,
    epoch: "epoch123",
    createdAt: 0,
    facts: { isOpen: false },
    first: 1,
    next: 1,
    bytes: 0,
    end: undefined,
  };
}

Deno.test("Watchers gives the list anew to a watcher that falls behind, and holds no more for it", async () => {
  const watchers = new Watchers(2);
  const names = ["a"];
  const list = ({ after }: { readonly after: string }) =>
    names.filter((name) => name > after).map(topic);
  const told: string[] = [];
  const over = new AbortController();
  const watching = watchers.watch(
    list,
    { prefix: "", limit: 10 },
    over.signal,
  );
  const next = async (): Promise<void> => {
    const { value } = await watching.next();
    if (!value) return;
    told.push(
      value.kind === "listed"
        ? `listed ${value.topics.map(({ name }) => name)}`
        : value.kind === "deleted"
        ? `deleted ${value.name}`
        : value.kind === "made" || value.kind === "ended"
        ? `${value.kind} ${value.topic.name}`
        : value.kind,
    );
  };
  for (let count = 0; count < 3; count++) await next();
  const tell = (name: string) => watchers.tell("made", () => topic(name));
  tell("b");
  tell("c");
  watchers.deleted("b");
  await next();
  await next();
  for (const name of ["d", "e", "f", "g"]) {
    names.push(name);
    tell(name);
  }
  for (let count = 0; count < 3; count++) await next();
  // The list has said it.
  tell("h");
  await next();
  assertEquals(told, [
    "reset",
    "listed a",
    "current",
    "made c",
    "deleted b",
    "reset",
    "listed a,d,e,f,g",
    "current",
    "made h",
  ]);
  watchers.reset();
  await next();
  assertEquals(told.at(-1), "reset");
  await watching.return();
});
