// The ends of a chat's turns: for the caller, for readers, and for the topic.
import { assertEquals } from "@std/assert";
import { DefaultChatTransport, readUIMessageStream } from "ai";
import type { TopicEnd } from "../../../../relay/topics/end.ts";
import {
  BEGIN,
  opening,
  part,
  REST,
  startChats,
  UI_HEADER,
} from "../../../support/gateway/chat_world.ts";
import type { ProviderExchange } from "../../../support/gateway/raw_provider.ts";

/** An ending: what the application does after the beginning, and what comes of it. */
interface Row {
  readonly after: string;
  /** Default: the body ends as bodies do. */
  readonly how?: "close" | "reset";
  /** The part of `after` that readers receive. Default: all. */
  readonly seen?: string;
  /** The text that the relay adds. Default: nothing. */
  readonly added?: string;
  readonly end: TopicEnd;
}

const DONE = part("[DONE]");

function broke(reason: string): string {
  return part({
    type: "error",
    errorText: `The answer broke off: ${reason}`,
  }) + DONE;
}

const ENDINGS: Readonly<Record<string, Row>> = {
  "finish and [DONE]": { after: REST, end: { status: "complete" } },
  "finish alone": {
    after: part({ type: "finish" }),
    end: { status: "complete" },
  },
  "[DONE] alone": { after: DONE, end: { status: "complete" } },
  "a finish that says length": {
    after: part({ type: "finish", finishReason: "length" }) + DONE,
    end: { status: "complete", reason: "finishReason: length" },
  },
  "an error": {
    after: part({ type: "error", errorText: "No model today" }) + DONE,
    end: { status: "failed", reason: "No model today" },
  },
  "an error after finish": {
    after: part({ type: "finish" }) +
      part({ type: "error", errorText: "Late" }) + DONE,
    end: { status: "failed", reason: "Late" },
  },
  "an abort": {
    after: part({ type: "abort" }) + DONE,
    end: { status: "cancelled" },
  },
  "no last word": {
    after: part({ type: "text-end", id: "t" }),
    added: broke("The stream has ended without a last word"),
    end: {
      status: "truncated",
      reason: "The stream has ended without a last word",
    },
  },
  "a cut within an event": {
    after: 'data: {"type":"text-del',
    how: "close",
    seen: "",
    end: { status: "truncated" },
  },
  "a reset": { after: "", how: "reset", end: { status: "truncated" } },
  "a cut after finish": {
    after: part({ type: "finish" }),
    how: "close",
    end: { status: "complete" },
  },
};

async function finish(
  exchange: ProviderExchange,
  { after, how }: Row,
): Promise<void> {
  if (how === undefined) return await exchange.end(after);
  await exchange.write(after);
  if (how === "close") exchange.close();
  else exchange.reset();
}

/** The endings of applications that do not say by a header what they send. */
const UNSAID = new Set(["finish and [DONE]", "no last word"]);

for (const headers of [UI_HEADER, {}]) {
  const said = headers === UI_HEADER ? "" : ", without the header";
  for (const [name, row] of Object.entries(ENDINGS)) {
    if (headers !== UI_HEADER && !UNSAID.has(name)) continue;
    Deno.test(`A turn of a chat ends with ${name}${said}`, async () => {
      await using world = await startChats();
      const { exchange, answer } = await world.beginTurn();
      await exchange.stream(BEGIN, headers);
      await using caller = await answer;
      assertEquals(caller.status, 200);
      await caller.see(BEGIN);
      await using reader = await world.resume();
      assertEquals(reader.status, 200);
      assertEquals(reader.header("x-vercel-ai-ui-message-stream"), "v1");
      await finish(exchange, row);
      const end = await world.ended("raw:7");
      assertEquals(end.status, row.end.status);
      if (row.end.reason) assertEquals(end.reason, row.end.reason);
      const added = row.added ??
        (end.status === "truncated" ? broke(end.reason ?? "") : "");
      const all = opening() + BEGIN + (row.seen ?? row.after) + added;
      assertEquals(await caller.rest(), { text: all, end: "whole" });
      const read = await reader.rest();
      assertEquals(read.end, "whole");
      assertEquals(withoutIds(read.text), all);
      const again = await world.resume();
      assertEquals(again.status, 204);
      assertEquals(again.header("rivulet-end"), row.end.status);
      assertEquals(again.header("rivulet-topic"), "raw:7");
    });
  }
}

/** Leaves out what a reader is told besides: positions and comments. */
function withoutIds(text: string): string {
  return text.replaceAll(/^(?:id:|:).*\n/gm, "");
}

/** The SDK's view of each ending: the text, and the error that it throws. */
for (const name of Object.keys(ENDINGS)) {
  Deno.test(`The AI SDK's own transport reads a turn that ends with ${name}, twice`, async () => {
    await using world = await startChats();
    const transport = new DefaultChatTransport({
      api: `${world.url}/chat/raw`,
    });
    const sending = transport.sendMessages({
      chatId: "7",
      messages: [{ id: "u1", role: "user", parts: [] }],
      trigger: "submit-message",
      messageId: undefined,
      abortSignal: undefined,
    });
    const exchange = await world.provider.next();
    assertEquals(
      JSON.parse(new TextDecoder().decode(await exchange.body())).id,
      "7",
    );
    await exchange.stream(BEGIN, UI_HEADER);
    const row = ENDINGS[name]!; // one of its names
    const first = fold(await sending);
    const second = fold((await transport.reconnectToStream({ chatId: "7" }))!);
    await finish(exchange, row);
    const { status, reason } = await world.ended("raw:7");
    const error = status === "failed"
      ? reason
      : status === "truncated"
      ? `The answer broke off: ${reason}`
      : undefined;
    const text = row.after === REST ? "Hello" : "Hel";
    assertEquals(await first, { text, error });
    assertEquals(await second, { text, error });
    assertEquals(await transport.reconnectToStream({ chatId: "7" }), null);
  });
}

/** Reads a stream as a chat does; returns the text, and the error that it shows. */
async function fold(
  stream: Awaited<ReturnType<DefaultChatTransport<never>["sendMessages"]>>,
): Promise<{ text: string; error: string | undefined }> {
  let text = "";
  let error: string | undefined;
  const messages = readUIMessageStream({
    stream,
    onError: (thrown) => error = (thrown as Error).message,
  });
  for await (const { parts } of messages) {
    text = parts.map((part) => part.type === "text" ? part.text : "").join("");
  }
  return { text, error };
}
