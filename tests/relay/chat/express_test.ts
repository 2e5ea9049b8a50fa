// A chat whose server is Express, which knows no web `Response` and no `req.signal`: as
// docs/chat.md and docs/chat_library.md have it.
import { once } from "node:events";
import { Readable } from "node:stream";
import type { AddressInfo } from "node:net";
import { assertEquals } from "@std/assert";
import { pipeUIMessageStreamToResponse } from "ai";
// @ts-types="../../support/chat/express.d.ts"
import express from "express";
import { publishChat } from "../../../relay/chat/server/mod.ts";
import { ManualAnswer } from "../../support/chat/manual_answer.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** Serves an application until it is disposed of. */
async function serve(
  app: ReturnType<typeof express>,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const TURN = JSON.stringify({
  id: "7",
  messages: [{ id: "u1", role: "user", parts: [] }],
});

const JSON_TYPE = { "content-type": "application/json" };

Deno.test("A route of Express behind --chat hears of a stop, as its response is closed", async () => {
  const answers: ManualAnswer[] = [];
  const app = express().use(express.json());
  app.post("/api/chat", (_req, res) => {
    const abort = new AbortController();
    res.on("close", () => abort.abort());
    const answer = new ManualAnswer();
    answers.push(answer);
    // The stream of a real model has the SDK's type.
    const stream = answer.stream(abort.signal) as Parameters<
      typeof pipeUIMessageStreamToResponse
    >[0]["stream"];
    pipeUIMessageStreamToResponse({ response: res, stream });
  });
  await using server = await serve(app);
  await using relay = await startRelay({
    chats: [{ name: "app", url: `${server.url}/api/chat` }],
  });
  const ask = () =>
    relay.request("/chat/app", {
      method: "POST",
      headers: JSON_TYPE,
      body: TURN,
    });
  const first = await ask();
  answers[0]!.say("Hello");
  answers[0]!.finish();
  await first.text();
  assertEquals(
    relay.relay.topics.get("app:7")?.verdict?.status,
    "complete",
  );
  const second = await ask();
  answers[1]!.say("Hello");
  const stop = await relay.request("/chat/app/7/stop", { method: "POST" });
  await stop.body?.cancel();
  await until(
    () => answers[1]!.signal?.aborted || undefined,
    LIMIT,
    "the signal",
  );
  await second.text();
});

Deno.test("publishChat answers through Express", async () => {
  await using relay = await startRelay();
  const answer = new ManualAnswer();
  const app = express().use(express.json());
  app.post("/api/chat", async (req, res) => {
    const response = await publishChat({
      relay: relay.url,
      topic: "chat:ada:7",
      message: req.body.messages.at(-1),
      stream: answer.stream,
    });
    res.status(response.status).setHeaders(response.headers);
    // It is of the same kind, whatever the types say.
    Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0])
      .pipe(res);
  });
  await using server = await serve(app);
  const asked = await fetch(`${server.url}/api/chat`, {
    method: "POST",
    headers: JSON_TYPE,
    body: TURN,
  });
  answer.say("Hello");
  answer.finish();
  const text = await within(asked.text(), LIMIT, "the answer");
  assertEquals(asked.headers.get("rivulet-topic"), "chat:ada:7");
  assertEquals(text.endsWith("data: [DONE]\n\n"), true);
  assertEquals(
    (await relay.relay.topics.get("chat:ada:7")?.ended)?.status,
    "complete",
  );
});
