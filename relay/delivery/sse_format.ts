import { Buffer } from "node:buffer";
import type { LogRange } from "../topics/log.ts";
import { formatPosition } from "../topics/position.ts";
import type { Topic } from "../topics/topic.ts";
import type { Format, SubscriptionMessage } from "./format.ts";

function events(topic: Topic, { offset, entries }: LogRange): Uint8Array {
  const { epoch } = topic.log;
  let text = "";
  let at = offset;
  for (const { event: { event, data, id } } of entries) {
    if (event !== "message") text += `event: ${event}\n`;
    text += `id: ${epoch}:${at++}\n`;
    if (id !== "") text += `upstream-id: ${id}\n`;
    text += `data: ${data.replaceAll("\n", "\ndata: ")}\n\n`;
  }
  return Buffer.from(text);
}

/** The id that resumes after this message; `undefined` where it does not move the reader. */
function positionAfter(message: SubscriptionMessage): number | undefined {
  switch (message.type) {
    case "gap":
      return message.to > 0 ? message.to : undefined;
    case "end":
      return message.offset;
    default:
      return undefined;
  }
}

/** Protocol, section 3: upstream events, and the relay's own as `rivulet.*`. */
export const sseFormat: Format = {
  events,
  message(message: SubscriptionMessage, topic: Topic): Uint8Array | undefined {
    if (message.type === "subscribed") return undefined;
    const offset = positionAfter(message);
    const id = offset === undefined
      ? ""
      : `id: ${formatPosition({ epoch: topic.log.epoch, offset })}\n`;
    return Buffer.from(
      `event: rivulet.${message.type}\n${id}data: ${
        JSON.stringify(message)
      }\n\n`,
    );
  },
  heartbeat(): Uint8Array {
    return Buffer.from(":\n\n");
  },
};

/** Protocol, section 3, `?raw`: only what the upstream sent. */
export const rawSseFormat: Format = {
  ...sseFormat,
  message: (): undefined => undefined,
};
