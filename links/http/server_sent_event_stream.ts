/**
 * A stand-in for `jsr:@std/http/server-sent-event-stream`.
 *
 * @module
 */

/** The fields of one message; a field that is undefined is left out. */
export interface ServerSentEventMessage {
  /** Ignored by the client. */
  comment?: string;
  /** The event's type. */
  event?: string;
  /** The event's data; its line ends become further `data` lines. */
  data?: string;
  /** The event's id. */
  id?: string | number;
  /** The reconnection time, in milliseconds. */
  retry?: number;
}

const LINE_END = /\r\n|\r|\n/;

function oneLine(value: string, name: string): string {
  if (LINE_END.test(value)) {
    throw new SyntaxError(
      `Cannot serialize message: \`message.${name}\` cannot contain a newline`,
    );
  }
  return value;
}

function serialize(message: ServerSentEventMessage): string {
  const { comment, event, data, id, retry } = message;
  const lines: string[] = [];
  if (comment !== undefined) {
    lines.push(...comment.split(LINE_END).map((line) => `:${line}`));
  }
  if (event !== undefined) lines.push(`event:${oneLine(event, "event")}`);
  if (data !== undefined) {
    lines.push(...data.split(LINE_END).map((line) => `data:${line}`));
  }
  if (id !== undefined) lines.push(`id:${oneLine(String(id), "id")}`);
  if (retry !== undefined) lines.push(`retry:${retry}`);
  return lines.join("\n") + "\n\n";
}

/** Turns messages into the bytes of an event stream. */
export class ServerSentEventStream
  extends TransformStream<ServerSentEventMessage, Uint8Array> {
  /** Makes an encoder. */
  constructor() {
    const encoder = new TextEncoder();
    super({
      transform(message, controller) {
        controller.enqueue(encoder.encode(serialize(message)));
      },
    });
  }
}
