/**
 * An Express server whose jobs tell how they go, in as many browser tabs as you like:
 * each job publishes to a topic of the relay, and a tab follows that.
 *
 * ```sh
 * rivulet --origin http://localhost:3000
 * node server.js
 * ```
 *
 * @module
 */
import express from "express";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { encodeEvent } from "@rivulet/rivulet/sse";

const { RELAY_URL = "http://localhost:8787", PORT = "3000" } = process.env;

/** Put your own work in here. */
async function* work() {
  for (let step = 1; step <= 5; step++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    yield `Step ${step} of 5 is done`;
  }
}

/** Publishes what a job says: the topic ends with it, as `failed` if it breaks off. */
async function publish(topic) {
  const encoder = new TextEncoder();
  const body = ReadableStream.from(async function* () {
    for await (const data of work()) {
      yield encoder.encode(encodeEvent({ event: "message", data, id: "" }));
    }
  }());
  const init = {
    method: "POST",
    headers: { "Content-Type": "text/event-stream" },
    body,
    duplex: "half", // Node asks for it
  };
  const response = await fetch(`${RELAY_URL}/topics/${topic}?end`, init);
  const text = await response.text();
  if (!response.ok) {
    throw new Error(`The relay says ${response.status}: ${text}`);
  }
}

const app = express();
const page = fileURLToPath(new URL("tabs.html", import.meta.url));
app.get("/", (_request, response) => response.sendFile(page));
app.post("/jobs", (_request, response) => {
  const topic = `job-${crypto.randomUUID()}`;
  publish(topic).catch((error) => console.error(`${topic}: ${error.message}`));
  response.status(202).json({ follow: `${RELAY_URL}/topics/${topic}` });
});
const server = app.listen(Number(PORT), () => {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : PORT;
  console.log(`http://localhost:${port}`);
});
