import { getLogger } from "@logtape/logtape";
import { internalProblem, Problem } from "../../problem.ts";
import { type Published, PublishError } from "../../sources/publish_error.ts";
import { TopicBusyError } from "../../topics/topic_busy_error.ts";
import { EventLimitError } from "../../topics/event_limit.ts";
import { TopicLimitError } from "../../topics/topic_errors.ts";
import { fillingOf } from "../../topics/fillings.ts";
import { StoreError } from "../../topics/store.ts";
import { TopicEndedError } from "../../topics/topic.ts";
import type { PublishRequest } from "./client_message.ts";
import {
  forbid,
  type RefusalFacts,
  refuseAtEdge,
  type WebSocketPeer,
} from "./peer.ts";

const logger = getLogger(["rivulet", "relay", "websocket"]);

/** The reason of a refusal, in the words of an `error` message. */
interface Refusal extends Pick<RefusalFacts, "retryable"> {
  readonly code: string;
  readonly message: string;
}

/** Puts an error into the words of an `error` message. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof TopicEndedError || error instanceof TopicBusyError) {
    return error;
  }
  if (error instanceof Problem) {
    // The relay is being drained.
    const { code, message } = error;
    return { code, message, retryable: true };
  }
  if (error instanceof TopicLimitError) {
    const { code, message } = error;
    return { code, message, retryable: true };
  }
  if (error instanceof StoreError) {
    const { code, message } = error;
    return { code, message, retryable: true };
  }
  if (error instanceof EventLimitError) {
    const { code, message } = error;
    return { code, message };
  }
  if (error instanceof PublishError) {
    const { message } = error;
    // The body of a request over HTTP is a part of the message here.
    const code = error.code === "invalid_body" ? "invalid_message" : error.code;
    const retryable = error.code === "key_in_use" ||
      error.code === "publish_rate";
    return { code, message, retryable };
  }
  logger.error("Cannot answer a message: {error}", { error });
  const { code, message } = internalProblem();
  return { code, message };
}

/**
 * Publishes the events of a peer (the message `publish`), as `POST` does with a
 * body: the topic is made if there is none.
 */
export function publish(peer: WebSocketPeer, request: PublishRequest): void {
  const { topic: name, id } = request;
  if (!peer.access.may("write", name)) return forbid(peer, "write", name);
  if (refuseAtEdge(peer, name, id)) return;
  const published = (result: Published): void => {
    peer.answer({ type: "published", topic: name, ...result, id });
  };
  const refused = (error: unknown): void => {
    const { code, message, retryable = false } = refusalOf(error);
    peer.refuse(code, message, name, { id, retryable });
  };
  let result: Published | Promise<Published>;
  try {
    result = add(peer, request);
  } catch (error) {
    return refused(error);
  }
  if (!(result instanceof Promise)) return published(result);
  // Publishers cannot outrun subscribers: the peer is not read meanwhile.
  peer.hold();
  void result.catch((error) => addToNext(peer, request, error))
    .then(published, refused).then(() => peer.release());
}

/** Adds the events of a peer. */
function add(
  { access, network, context: { topics, publisher } }: WebSocketPeer,
  { topic: name, events, id, ifEnded }: PublishRequest,
): Published | Promise<Published> {
  const key = { key: id, publisher: access.identity };
  const known = publisher.topicOf(topics.epochs(name), key);
  const filling = known
    ? fillingOf(known)
    : topics.fill(name, access.identity, ifEnded === "renew");
  let result: Published | Promise<Published>;
  try {
    const client = access.identity || network;
    result = publisher.add(filling.topic, events, { ...key, client });
  } catch (error) {
    filling.refuse();
    throw error;
  }
  // An append that waits for slow readers was made.
  filling.keep();
  return result;
}

/**
 * Adds events to a new topic of the name if the topic has refused all of them because
 * another relay had deleted it, and this relay had not heard of the deletion.
 */
async function addToNext(
  peer: WebSocketPeer,
  request: PublishRequest,
  error: unknown,
): Promise<Published> {
  const { access: { identity: owner }, context: { topics } } = peer;
  if (!(error instanceof TopicEndedError) || !topics.areShared) throw error;
  await topics.prepare(request.topic, { makes: true, isFresh: true, owner });
  return await add(peer, request);
}
