import { TOPIC } from "../event.ts";
import type { Requests } from "./pipelined_outlet.ts";

/** A `POST` for each event, over one connection that is kept. */
export const POSTS: Requests = {
  request: (data) =>
    `POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n` +
    `Content-Length: ${data.length}\r\n\r\n${data}`,
  met: "HTTP/1.1 20",
  failed: /HTTP\/1\.1 [^2]/,
};

/** A `PUBLISH` for each event. */
export const PUBLISHES: Requests = {
  request: (data) =>
    `*3\r\n$7\r\nPUBLISH\r\n$${TOPIC.length}\r\n${TOPIC}\r\n` +
    `$${data.length}\r\n${data}\r\n`,
  met: "\n",
  failed: /^-/,
};
