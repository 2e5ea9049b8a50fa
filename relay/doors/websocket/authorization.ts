import { getLogger } from "@logtape/logtape";
import { internalProblem, Problem } from "../../problem.ts";
import { CLOSINGS } from "./close_codes.ts";
import { forbid, type WebSocketPeer } from "./peer.ts";

const logger = getLogger(["rivulet", "relay", "websocket"]);

/**
 * Takes a new token of a peer (the message `auth`); a bad one changes nothing.
 *
 * @returns Resolves when the peer was answered; never rejects.
 */
export async function authorize(
  peer: WebSocketPeer,
  token: string,
): Promise<void> {
  try {
    const access = await peer.context.authority.authorize(token);
    // A peer that has gone meanwhile needs nothing more.
    if (!peer.isOpen) return;
    peer.grant(access);
    const { expires } = access;
    peer.answer({
      type: "authorized",
      expires: expires === Infinity ? undefined : expires,
    });
    dropForbidden(peer);
  } catch (error) {
    refuseToken(peer, error);
  }
}

function refuseToken(peer: WebSocketPeer, error: unknown): void {
  if (error instanceof Problem) {
    const retryable = error.status >= 500;
    return peer.refuse(error.code, error.message, undefined, { retryable });
  }
  logger.error("Cannot read a token: {error}", { error });
  const { code, message } = internalProblem();
  peer.refuse(code, message);
}

/** Ends the subscriptions that a new token has no right to. */
function dropForbidden(peer: WebSocketPeer): void {
  const { access, context, ownTopic, subscriber } = peer;
  for (const subscription of [...subscriber.subscriptions]) {
    const { name } = subscription.topic;
    if (access.may("read", name)) continue;
    if (name === ownTopic) {
      context.refused("forbidden");
      return peer.close(CLOSINGS.forbidden);
    }
    subscriber.remove(subscription);
    forbid(peer, "read", name);
  }
  for (const name of [...peer.staying?.names ?? []]) {
    if (access.may("read", name)) continue;
    if (name === ownTopic) {
      context.refused("forbidden");
      return peer.close(CLOSINGS.forbidden);
    }
    peer.staying?.delete(name);
    forbid(peer, "read", name);
  }
}
