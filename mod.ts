/**
 * Server-sent events (SSE) over `fetch`, exact to the standard, in Deno, Node,
 * Bun, browsers and workers.
 *
 * - {@linkcode streamEvents} reads an event stream with `for await`. It
 *   reconnects from the last event id, waits as long as the server asks for, and
 *   reads no faster than you do.
 * - {@linkcode FetchEventSource} is `EventSource` with a method, headers, a body
 *   and a signal.
 * - {@linkcode readEvents} and {@linkcode SseParser} read events from bytes and
 *   text that you already have, and {@linkcode encodeEvent} writes them.
 *
 * Errors are classes with a `code` from a closed set, and contain no keys. This
 * module is `./sse` and `./fetch` together. Language models are in `./model`, the
 * relay is in `./relay`, and the library for its subscribers is in `./client`.
 *
 * @example Read a stream
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet";
 * import { ScriptedFetch } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * // Stands for a server whose connection breaks after the first event.
 * const script = new ScriptedFetch([
 *   { chunks: ["id: 1\ndata: a\n\n"], end: "drop" },
 *   { chunks: ["id: 2\ndata: b\n\n"] },
 * ]);
 *
 * const seen: string[] = [];
 * for await (
 *   const event of streamEvents("https://example.com/events", {
 *     reconnect: { minTimeout: 1 },
 *     fetch: script.fetch,
 *   })
 * ) {
 *   seen.push(event.data);
 *   if (event.data === "b") break; // closes the connection
 * }
 * assertEquals(seen, ["a", "b"]);
 * ```
 *
 * @module
 */
export * from "./src/sse/mod.ts";
export * from "./src/fetch/mod.ts";
