import { STATUS_CODE } from "@std/http/status";
import { chatTopic } from "../../chat_topic.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { Problem } from "../../problem.ts";
import { type Access, forbidden, FULL_ACCESS } from "../../rights/access.ts";
import type { ChatRoute } from "./chat_route.ts";

/** The chat routes of applications, and the topics of their chats. */
export class Chats {
  readonly #routes: ReadonlyMap<string, ChatRoute>;

  /** Takes the routes, each with a name of its own. */
  constructor(routes: readonly ChatRoute[]) {
    this.#routes = new Map(routes.map((route) => [route.name, route]));
  }

  /**
   * Returns the route of a name.
   *
   * @throws {Problem} 404 `not_found`.
   */
  route(name: string): ChatRoute {
    const route = this.#routes.get(name);
    if (route) return route;
    throw new Problem(
      STATUS_CODE.NotFound,
      "not_found",
      `There is no chat '${name}' of the relay (--chat)`,
    );
  }

  /**
   * Returns the name of the topic that a chat has for a caller: with the caller's
   * subject in it, unless the route's chats are shared. So a user who guesses the id of
   * another user's chat gets a chat of their own.
   *
   * @param name The name of the route.
   * @param access The rights of the caller.
   * @param id The id of the chat.
   * @throws {Problem} 404 `not_found` if there is no such route, 403 `forbidden` if the
   * token says whose it is not, and 400 `invalid_topic` if the id makes no name.
   */
  topicOf(name: string, access: Access, id: string): string {
    const { shared = false } = this.route(name);
    const user = shared ? undefined : access.subject;
    // Without tokens, there is one user.
    if (!user && !shared && access !== FULL_ACCESS) {
      throw forbidden(
        "Expected a token with a 'sub', which says whose chats these are: only chats of a route with the option 'shared' take others",
      );
    }
    try {
      return chatTopic({ chat: name, user, id });
    } catch (error) {
      throw new Problem(
        STATUS_CODE.BadRequest,
        "invalid_topic",
        messageOf(error),
      );
    }
  }
}
