// The listeners of sockets that stay: their table is made anew, and they are called as before.
import { EventEmitter } from "node:events";
import { assertEquals, assertThrows } from "@std/assert";
import { compactListeners } from "../../../../relay/doors/websocket/compact_listeners.ts";

Deno.test("compactListeners changes nothing that can be seen of an emitter", () => {
  const emitter = new EventEmitter();
  const called: string[] = [];
  const gone = (): void => void called.push("gone");
  const kind = Symbol("kind");
  emitter.on("close", () => called.push("first"));
  emitter.once("close", () => called.push("once"));
  emitter.on("close", () => called.push("third"));
  emitter.on("data", gone);
  emitter.on(kind, (value) => called.push(value));
  emitter.on("drain", gone);
  emitter.off("drain", gone);
  compactListeners(emitter);

  assertEquals(emitter.eventNames(), ["close", "data", kind]);
  assertEquals(emitter.listenerCount("close"), 3);
  emitter.emit("close");
  emitter.emit("close");
  emitter.emit(kind, "by symbol");
  assertEquals(called.splice(0), [
    ...["first", "once", "third"],
    ...["first", "third"],
    "by symbol",
  ]);

  emitter.off("data", gone);
  assertEquals(emitter.emit("data"), false);
  emitter.on("drain", () => called.push("added later"));
  emitter.emit("drain");
  assertEquals(called, ["added later"]);
  // Names that all objects have methods of.
  assertEquals(emitter.emit("toString"), false);
  assertThrows(() => emitter.emit("error", new Error("nobody listens")));
});
