import { protocols, Refusal, urlOf } from "./access.ts";
import type { SocketMessage } from "./data.ts";
import { keep } from "./live.ts";

/**
 * Follows a topic over a WebSocket, from its beginning on, through all of its epochs.
 *
 * It does what `subscribe()` of the package does for programs, in a sixth of its size:
 * it trusts the relay that it comes from, and reads as fast as it is sent to.
 *
 * @param query The query: `mode=merge&snapshot`.
 * @param onMessage Takes what the relay says. `subscribed` is said of each epoch once.
 * @returns Rejects with the refusal that no other attempt would change.
 */
export function followTopic(
  name: string,
  query: string,
  signal: AbortSignal,
  onMessage: (message: SocketMessage) => void,
): Promise<void> {
  let epoch = "";
  let offset = 0;
  return keep(signal, ({ signal }) =>
    new Promise((resolve, reject) => {
      const url = urlOf(
        `topics/${name}?stay&wait=false&${
          offset
            ? `${query.replace("snapshot", "")}&after=${epoch}:${offset}`
            : query
        }`,
      );
      url.protocol = url.protocol.replace("http", "ws");
      const socket = new WebSocket(url, protocols());
      signal.addEventListener("abort", () => socket.close());
      socket.onclose = () => resolve(undefined);
      socket.onmessage = ({ data }) => {
        const message: SocketMessage = JSON.parse(data);
        switch (message.type) {
          case "error":
            reject(new Refusal(404, message));
            break;
          case "subscribed":
            if (message.epoch === epoch) return;
            epoch = message.epoch;
            offset = message.after;
            onMessage(message);
            // A reader that begins at the start is told of no gap before it.
            return message.first > 1 &&
              onMessage({
                type: "gap",
                from: 1,
                to: message.first - 1,
                reason: "evicted",
              });
          case "events":
            offset = message.offset + message.events.length - 1;
            break;
          case "merged":
          case "gap":
            offset = message.to;
            break;
          case "snapshot":
          case "end":
            offset = message.offset;
        }
        onMessage(message);
      };
    }), true);
}
