import { readEvents } from "../../../../src/sse/read_events.ts";

/** The first subscriber's socket may hold this much before no more is read. */
const MAX_BUFFERED = 64 * 1024;

/**
 * Reads the event stream at a URL, and publishes each event as it comes.
 *
 * @param url The stream.
 * @param publish Sends an event's data to everybody.
 * @param buffered How many bytes wait to be sent to one of them.
 */
export async function relay(
  url: string,
  publish: (data: string) => void,
  buffered: () => number,
): Promise<void> {
  const { body } = await fetch(url);
  if (!body) throw new Error("The upstream has no body");
  for await (const { data } of readEvents(body)) {
    publish(data);
    while (buffered() > MAX_BUFFERED) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }
}
