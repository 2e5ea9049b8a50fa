// Bodies that are not what was said of them, or do not come.
import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { passTime } from "../../support/pass_time.ts";
import { RawHttp, statusesIn } from "../../support/http/raw_http.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until } from "../../support/within.ts";

function post(type: string, length: string): string {
  return `POST /topics/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n` +
    `${length}\r\n\r\n`;
}

const CHUNKED = "Transfer-Encoding: chunked";

/** Bodies that break off, and the number of events in each. */
const BROKEN: Readonly<Record<string, readonly [string, number]>> = {
  "text": [post("text/plain", "Content-Length: 100") + "abc", 0],
  "JSON that looks whole": [
    post("application/json", "Content-Length: 100") + `{"data":"a"}`,
    0,
  ],
  "nothing": [post("text/plain", "Content-Length: 100"), 0],
  "nothing of a huge length": [
    post("text/plain", "Content-Length: 9007199254740991"),
    0,
  ],
  "a chunk": [post("text/plain", CHUNKED) + "64\r\nabc", 0],
  "a chunk's size": [post("text/plain", CHUNKED) + "3\r\nabc\r\n6", 0],
  "chunks without the last one": [
    post("text/plain", CHUNKED) + "3\r\nabc\r\n",
    0,
  ],
  "the last chunk": [post("text/plain", CHUNKED) + "3\r\nabc\r\n0\r\n", 0],
  "an event stream": [
    post("text/event-stream", CHUNKED) + "f\r\ndata: a\n\ndata: b\r\n",
    1,
  ],
  "a source": [
    post("application/json", "Content-Length: 100").replace("POST", "PUT") +
    `{"source":`,
    0,
  ],
  "an end": [
    post("application/json", "Content-Length: 100")
      .replace("/topics/t", "/topics/t/end") + `{"status":"complete"}`,
    0,
  ],
};

Deno.test("Relay takes no part of a body for the whole", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  await using bystanders = await Bystanders.open(relay.url);
  for (const how of ["end", "reset"] as const) {
    for (const [broken, [bytes, count]] of Object.entries(BROKEN)) {
      const what = `${broken}, ${how}`;
      const topic = topics.create("t");
      await using caller = await RawHttp.open(relay.url);
      await caller.send(bytes);
      if (count > 0) {
        // Events of a stream are in the topic as soon as they arrive.
        await until(
          () => topic.log.next > count || undefined,
          LIMIT,
          () => `${count} events of ${what}`,
        );
      }
      caller.client[how]();
      if (how === "end") {
        const statuses = statusesIn(await caller.rest());
        assert(
          statuses.every((status) => status >= 400),
          `${what}: ${statuses}`,
        );
      }
      await bystanders.check(what);
      assertEquals(topic.log.next, 1 + count, what);
      assertEquals(topic.state.kind, count > 0 ? "open" : "pending", what);
      topics.delete("t");
    }
  }
});

Deno.test("Relay waits for no body longer than it should", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    limits: { bodyTimeout: 3_000 },
  });
  const starts = {
    "a body": post("text/plain", "Content-Length: 100") + "abc",
    "a body of which nothing comes": post("text/plain", "Content-Length: 100"),
    "a chunk": post("application/json", CHUNKED) + "64\r\n{",
    "an end": post("application/json", "Content-Length: 100")
      .replace("/topics/t", "/topics/t/end") + "{",
    "a source": post("application/json", "Content-Length: 100")
      .replace("POST", "PUT"),
  };
  for (const [what, start] of Object.entries(starts)) {
    await using caller = await RawHttp.open(relay.url);
    await caller.send(start);
    const answer = await passTime(clock, caller.answer());
    assertEquals(answer?.status, 408, what);
    assertEquals(JSON.parse(answer?.body ?? "").code, "body_timeout", what);
    await caller.rest();
  }
});

Deno.test("Relay answers nothing that comes where a body was given up", async () => {
  const smuggled =
    "PUT /topics/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
  await using relay = await startRelay({ limits: { maxBody: 100 } });
  await using bystanders = await Bystanders.open(relay.url);
  for (const length of ["Content-Length: 1000", CHUNKED]) {
    await using caller = await RawHttp.open(relay.url);
    const chunk = length === CHUNKED ? "3e8\r\n" : "";
    await caller.send(
      post("text/plain", length) + chunk + smuggled.repeat(3),
    );
    assertEquals((await caller.answer())?.status, 413);
    await caller.send(smuggled.repeat(3));
    await bystanders.check(`a body that was given up, ${length}`);
    await caller.rest();
    assertEquals(relay.relay.topics.get("smuggled"), undefined);
  }
});
