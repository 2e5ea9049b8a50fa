import { isRelayHeader } from "../../forwarding.ts";
import type { HeaderList } from "../../header_list.ts";
import { requestHeaders } from "../headers.ts";
import type { ChatRoute } from "./chat_route.ts";

/** The facts of a turn that an application is told. */
export interface ToldTurn {
  /** The application's route. */
  readonly route: ChatRoute;
  /** The user: the subject of the caller's token, if it has one. */
  readonly subject: string | undefined;
  /** The id of the chat. */
  readonly id: string;
  /** The topic of the chat. */
  readonly topicName: string;
}

/** Characters that a header has as they are. A percent sign begins the code of another. */
const NOT_PLAIN = /[^\x21-\x24\x26-\x7e]/gu;

/** Writes a text as `decodeURIComponent` reads it, with as little of it encoded as can be. */
function encoded(text: string): string {
  return text.toWellFormed().replaceAll(NOT_PLAIN, encodeURIComponent);
}

/**
 * Returns a caller's headers as the application gets them: with the caller's cookies and
 * keys, since the application may know its users by these, but without the relay's token;
 * and with what the relay says itself, which no caller can say in its place.
 *
 * @param headers The caller's headers, without a token of the relay's.
 * @param turn The facts that the application is told.
 */
export function applicationHeaders(
  headers: HeaderList,
  { route, subject, id, topicName }: ToldTurn,
): HeaderList {
  const forwarded = requestHeaders(headers, { keyHeader: "authorization" });
  for (const [name] of forwarded) {
    if (isRelayHeader(name)) forwarded.delete(name);
  }
  const cookie = headers.get("cookie");
  if (cookie !== null) forwarded.set("cookie", cookie);
  forwarded.set("rivulet-chat", encoded(id));
  forwarded.set("rivulet-topic", topicName);
  if (subject) forwarded.set("rivulet-subject", encoded(subject));
  if (route.secret) forwarded.set("rivulet-secret", route.secret);
  return forwarded;
}
