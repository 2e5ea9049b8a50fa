import { assertEquals, assertRejects } from "@std/assert";
import {
  EventTooLargeError,
  type SseDiagnostic,
  SseParserStream,
} from "../../src/sse/mod.ts";
import { toText } from "@std/streams/to-text";
import { ServerSentEventStream } from "@std/http/server-sent-event-stream";
import { readEvents } from "../../src/sse/mod.ts";

function streamOf(chunks: string[]): ReadableStream<string> {
  return ReadableStream.from(chunks);
}

Deno.test("SseParserStream turns text into events", async () => {
  const stream = new SseParserStream({ lastEventId: "0" });
  const events = streamOf([
    "data: a\n\nid: 1\nevent",
    ": e\nretry: 7\ndata: b\n\ndata: unfinished",
  ]).pipeThrough(stream);
  assertEquals(await Array.fromAsync(events), [
    { event: "message", data: "a", id: "0" },
    { event: "e", data: "b", id: "1" },
  ]);
  assertEquals(stream.lastEventId, "1");
  assertEquals(stream.reconnectionTime, 7);
});

Deno.test("SseParserStream calls back", async () => {
  const log: unknown[] = [];
  const stream = new SseParserStream({
    onComment: (comment) => log.push(comment),
    onRetry: (time) => log.push(time),
    onDiagnostic: (diagnostic: SseDiagnostic) => log.push(diagnostic.type),
    maxEventSize: 12,
    onTooLarge: "skip",
  });
  const events = streamOf([": c\nretry: 7\nfoo\n\ndata: 0123456789\n\n"])
    .pipeThrough(stream);
  assertEquals(await Array.fromAsync(events), []);
  assertEquals(log, ["c", 7, "unknown-field", "too-large"]);
});

Deno.test("SseParserStream fails at an event that is too large", async () => {
  const events = streamOf(["data: a\n\n", "data: 0123456789\n\n"])
    .pipeThrough(new SseParserStream({ maxEventSize: 12 }));
  const reader = events.getReader();
  assertEquals((await reader.read()).value?.data, "a");
  await assertRejects(() => reader.read(), EventTooLargeError);
});

Deno.test("SseParserStream parses long chunks in pieces to the same events", async () => {
  const data = Array.from({ length: 5_000 }, (_, i) => `${i} 你`);
  const text = data.map((data) => `data: ${data}\n\n`).join("");
  const events = streamOf([text, text]).pipeThrough(new SseParserStream());
  assertEquals(
    (await Array.fromAsync(events)).map((event) => event.data),
    [...data, ...data],
  );
});

Deno.test("readEvents() and SseParserStream read what @std's encoder writes", async () => {
  const messages = [
    { data: "a" },
    { event: "e", data: "b\nc", id: 5, retry: 30 },
    { comment: "still here" },
    { data: "" },
    { id: "6" },
  ];
  const written = () =>
    ReadableStream.from(messages).pipeThrough(new ServerSentEventStream());
  const expected = [
    { event: "message", data: "a", id: "" },
    { event: "e", data: "b\nc", id: "5" },
  ];
  const comments: string[] = [];
  const reader = readEvents(written(), {
    onComment: (comment) => comments.push(comment),
  });
  const events = await Array.fromAsync(reader);
  assertEquals(events.slice(0, 2), expected);
  assertEquals(comments, ["still here"]);
  assertEquals(reader.reconnectionTime, 30);
  assertEquals(reader.lastEventId, "6");
  const streamed = streamOf([await toText(written())])
    .pipeThrough(new SseParserStream());
  assertEquals(await Array.fromAsync(streamed), events);
});
