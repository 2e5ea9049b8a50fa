import { upgradeRequest } from "../../../tests/support/http/upgrade_request.ts";
import { TOPIC } from "../event.ts";
import type { MessageReader } from "./message_reader.ts";
import { RedisReader } from "./redis_reader.ts";
import { RelayReader } from "./relay_reader.ts";
import type { Tally } from "./tally.ts";
import { TOKEN } from "../token.ts";
import { TextReader } from "./text_reader.ts";

/** The protocol between a server and its subscribers. */
export type ProtocolName = "relay" | "secured" | "text" | "redis";

/** The first bytes of a subscriber, and the way in which it reads. */
export interface Protocol {
  readonly request: Uint8Array<ArrayBuffer>;
  /** The beginning and the end of the answer. */
  readonly answer: { readonly begin: string; readonly end: string };
  makeReader(tally: Tally, size: number): MessageReader;
}

const encoder = new TextEncoder();

function upgrade(
  headers: Readonly<Record<string, string>> = {},
): Pick<Protocol, "request" | "answer"> {
  return {
    request: encoder.encode(upgradeRequest(`/topics/${TOPIC}`, headers)),
    answer: { begin: "HTTP/1.1 101 ", end: "\r\n\r\n" },
  };
}

/** All of them. */
export const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = {
  relay: {
    ...upgrade(),
    makeReader: (tally, size) => new RelayReader(tally, size),
  },
  secured: {
    ...upgrade({
      Authorization: `Bearer ${TOKEN}`,
      Origin: "https://app.example.com",
    }),
    makeReader: (tally, size) => new RelayReader(tally, size),
  },
  text: {
    ...upgrade(),
    makeReader: (tally, size) => new TextReader(tally, size),
  },
  redis: {
    request: encoder.encode(`SUBSCRIBE ${TOPIC}\r\n`),
    answer: { begin: "*3\r\n$9\r\nsubscribe\r\n", end: ":1\r\n" },
    makeReader: (tally, size) => new RedisReader(tally, size),
  },
};
