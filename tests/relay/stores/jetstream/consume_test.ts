// A stream of which the last messages are removed while it is read.
import { assertEquals } from "@std/assert";
import type { Connected } from "../../../../relay/stores/jetstream/connection.ts";
import { Consumption } from "../../../../relay/stores/jetstream/consume.ts";

type Hear = (error: null, message: unknown) => void;

Deno.test("Consumption says that all is read, though less has come than was counted", async () => {
  let hear: Hear = () => {};
  const connected = {
    nats: {
      subscribe: (_inbox: string, { callback }: { callback: Hear }) => {
        hear = callback;
        return { unsubscribe: () => {} };
      },
      publish: () => {},
      isClosed: () => true,
    },
    manager: {
      consumers: {
        add: () => Promise.resolve({ name: "c", num_pending: 1 }),
      },
    },
  } as unknown as Connected; // no more is asked of it
  const told: string[] = [];
  using consumption = await Consumption.start(connected, {
    stream: "s",
    filter: ">",
    from: "last of each",
    onMessage: () => void told.push("message"),
    onIdle: () => void told.push("idle"),
    onBroken: () => void told.push("broken"),
  });
  assertEquals(consumption.waiting, 1);
  const status = (last: string, isStalled = false) => ({
    code: 100,
    get: () => last,
    has: () => isStalled,
  });
  // Flow control asks for an answer, and says nothing of the end.
  hear(null, { headers: status(""), reply: "flow" });
  // It holds messages back until it has that answer.
  hear(null, { headers: status("0", true), reply: "" });
  assertEquals(told, []);
  hear(null, { headers: status("0"), reply: "" });
  assertEquals(told, ["idle"]);
  // It has sent one that did not come.
  hear(null, { headers: status("1"), reply: "" });
  assertEquals(told, ["idle", "broken"]);
});
