/**
 * A connection over which a test writes requests, right or wrong, and counts the
 * answers.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { RawClient } from "../subscribers/raw_websocket.ts";
import { LIMIT, within } from "../within.ts";

/** An answer as it came. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Each byte as a character. */
  readonly body: string;
}

/** Bytes of text whose characters are bytes. */
export function latin1(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

function headLength(received: Uint8Array): number | undefined {
  const end = Buffer.from(received).indexOf("\r\n\r\n");
  return end < 0 ? undefined : end + 4;
}

function parseHead(text: string): Omit<RawAnswer, "body"> {
  const [first = "", ...fields] = text.trimEnd().split("\r\n");
  const [, status] = /^HTTP\/1\.1 ([0-9]{3})(?: |$)/.exec(first) ?? [];
  if (status === undefined) throw new Error(`No status line: ${first}`);
  const headers = new Headers();
  for (const field of fields) {
    const colon = field.indexOf(":");
    headers.append(field.slice(0, colon), field.slice(colon + 1));
  }
  return { status: Number(status), headers };
}

/** A connection to the relay. */
export class RawHttp implements AsyncDisposable {
  /** The connection. */
  readonly client: RawClient;

  private constructor(client: RawClient) {
    this.client = client;
  }

  /** Connects. */
  static async open(url: string): Promise<RawHttp> {
    return new RawHttp(await RawClient.connect(url));
  }

  /** Sends bytes: of text, each character is one. */
  send(data: string | Uint8Array): Promise<void> {
    return this.client.send(typeof data === "string" ? latin1(data) : data);
  }

  /**
   * Reads the next answer; an interim one (`100`) is an answer too.
   *
   * @param method What was asked: an answer to `HEAD` has no body.
   * @returns `undefined` where the relay has closed the connection instead.
   */
  async answer(method = "GET"): Promise<RawAnswer | undefined> {
    const bytes = await this.client.take(headLength, "the head of an answer");
    if (!bytes) return undefined;
    const head = parseHead(Buffer.from(bytes).toString("latin1"));
    const { status, headers } = head;
    const hasBody = method !== "HEAD" && status >= 200 && status !== 204;
    if (!hasBody) return { ...head, body: "" };
    const length = Number(headers.get("content-length") ?? 0);
    const body = await this.client.take(
      (received) => received.length >= length ? length : undefined,
      "the body of an answer",
    );
    if (!body) throw new Error("The connection was closed within a body");
    return { ...head, body: Buffer.from(body).toString("latin1") };
  }

  /**
   * Reads on until this was received.
   *
   * @returns What came up to there; `undefined` where the relay has closed the
   * connection instead.
   */
  async see(text: string): Promise<string | undefined> {
    const bytes = await this.client.take((received) => {
      const at = Buffer.from(received).indexOf(text);
      return at < 0 ? undefined : at + Buffer.byteLength(text);
    }, text);
    return bytes && Buffer.from(bytes).toString("latin1");
  }

  /** Waits until the relay has closed the connection by itself; returns what came before. */
  async rest(): Promise<string> {
    let text = "";
    for (;;) {
      const bytes = await this.client.take(
        ({ length }) => length > 0 ? length : undefined,
        `the relay to close, after ${JSON.stringify(text)}`,
      );
      if (!bytes) break;
      text += Buffer.from(bytes).toString("latin1");
    }
    await within(this.client.closed, LIMIT, "the end of the connection");
    return text;
  }

  /** Cuts the connection, and waits until it is. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.client[Symbol.asyncDispose]();
  }
}

/** The statuses of the answers in what came, whatever their bodies are. */
export function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.[01] ([0-9]{3})(?= |\r)/g)]
    .map(([, status]) => Number(status));
}
