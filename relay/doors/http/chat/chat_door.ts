import { STATUS_CODE } from "@std/http/status";
import type { Gateway } from "../../../gateway/gateway.ts";
import { lastWords } from "../../../gateway/chat/last_words.ts";
import type { TopicRegistry } from "../../../topics/registry.ts";
import type { Call } from "../entrance.ts";
import type { TopicReader } from "../topics/topic_reader.ts";

/** The context of the door of chats. */
export interface ChatDoorContext {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** Has the chat routes of applications, and asks them. */
  readonly gateway: Pick<Gateway, "chats" | "turn">;
}

/** The reason of a turn that its user stops. */
const STOPPED = "Stopped by a user";

/** Answers requests about the chats of applications (PROTOCOL.md, section 4). */
export class ChatDoor {
  readonly #context: ChatDoorContext;
  readonly #reader: Pick<TopicReader, "get" | "running">;

  /** Makes a door. */
  constructor(
    context: ChatDoorContext,
    reader: Pick<TopicReader, "get" | "running">,
  ) {
    this.#context = context;
    this.#reader = reader;
  }

  /** Has the application answer a turn of a chat. */
  turn(call: Call, chat: string): Promise<Response> {
    return this.#context.gateway.turn(call, chat);
  }

  /** Answers with the events of a chat, as those of its topic. */
  read(call: Call, topic: string): Response | Promise<Response> {
    call.response.setHeader("Rivulet-Topic", topic);
    return this.#reader.get(call, topic);
  }

  /** Answers with the answer that is under way in a chat, from its beginning on. */
  running(call: Call, topic: string): Response {
    const { response } = call;
    response.setHeader("Rivulet-Topic", topic);
    response.setHeader("X-Vercel-AI-UI-Message-Stream", "v1");
    return this.#reader.running(call, topic, lastWords);
  }

  /** Stops the answer that is under way in a chat, if there is one. */
  async stop(_call: Call, name: string): Promise<Response> {
    const { topics } = this.#context;
    const topic = topics.get(name);
    if (topic && topics.isActive(topic)) {
      await topics.leases.cancel(topic, STOPPED);
    }
    return new Response(null, { status: STATUS_CODE.NoContent });
  }
}
