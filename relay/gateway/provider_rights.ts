import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";
import {
  type Access,
  assertMay,
  forbidden,
  type Right,
} from "../rights/access.ts";
import { readingsOf } from "../forwarding.ts";
import { Pattern } from "../rights/tokens/pattern.ts";
import { REFERENCED } from "./references.ts";
import type { Asked, Target } from "./request.ts";

/**
 * The requests that a token allows which says nothing of providers: making runs,
 * counting their tokens beforehand, and listing models.
 */
export const DEFAULT_REQUESTS = [
  "POST responses",
  "POST responses/compact",
  "POST responses/input_tokens",
  "POST chat/completions",
  "POST completions",
  "POST messages",
  "POST messages/count_tokens",
  "GET models",
  "GET models/*",
] as const;

const DEFAULT = DEFAULT_REQUESTS.map((text) => new Pattern(text));

/**
 * The requests that concern one response, and the right on its topic that each takes:
 * the id is the caller's if it has that.
 */
export const RESPONSE_REQUESTS = {
  "GET responses/{id}": "read",
  "GET responses/{id}/input_items": "read",
  "DELETE responses/{id}": "cancel",
  "POST responses/{id}/cancel": "cancel",
} as const satisfies Readonly<Record<string, Right>>;

const OWN_RESPONSE = new RegExp(
  `^(?:${
    Object.keys(RESPONSE_REQUESTS).join("|").replaceAll("{id}", "[^/]+")
  })$`,
);

/** A response's id in a decoded path, in every spelling that a provider may read as it. */
const RESPONSE_PATH = /^(?:\.?\/)*responses(?:;[^/]*)?\/(?:\.?\/)*([^/;?#]+)/i;

/** The decoded paths that make a run, or take the body of one, in every spelling. */
const MAKES_RUN =
  /^(?:\.?\/)*(?:responses(?:;[^/]*)?(?:\/+(?:\.\/+)*(?:compact|input_tokens))?|(?:chat(?:;[^/]*)?\/+(?:\.\/+)*)?completions|messages(?:;[^/]*)?(?:\/+(?:\.\/+)*count_tokens)?)(?:;[^/]*)?\/*$/i;

/** Whether a path takes the body of a run. */
export function isRunPath(path: string): boolean {
  return MAKES_RUN.test(readingsOf(path).at(-1) ?? "");
}

/** Returns the id of the response that a path names, if it names one. */
export function responseIdIn(path: string): string | undefined {
  const [, id] = RESPONSE_PATH.exec(readingsOf(path).at(-1) ?? "") ?? [];
  return id?.trim();
}

/** Decides which requests callers may make to providers with the relay's keys. */
export class ProviderRights {
  readonly #allowed: readonly Pattern[];

  /**
   * Makes the rights of a relay.
   *
   * @param allowed The patterns that tokens allow which say nothing of providers,
   * besides the default: `openai:GET files`.
   */
  constructor(allowed: readonly string[]) {
    this.#allowed = allowed.map((text) => new Pattern(text));
  }

  /**
   * Refuses a request that its caller may not make.
   *
   * @param asked The request.
   * @param topic The name of the topic of the response that the path names, if the
   * relay knows one.
   * @throws {Problem} 403 `forbidden`.
   */
  assertMayAsk(
    { access, request, target }: Pick<Asked, "access" | "request" | "target">,
    topic: string | undefined,
  ): void {
    const method = request.method === "HEAD" ? "GET" : request.method;
    if (topic !== undefined) {
      assertMay(access, method === "GET" ? "read" : "cancel", topic);
    }
    // Without a key of the relay's, the provider judges by the caller's.
    if (target.provider.key === undefined) return;
    if (this.#mayAsk(access, method, target, topic)) return;
    throw forbidden(
      `Expected a token with the right for this ${method} at the provider '${target.provider.name}': in its 'rivulet.provider', or in --allow-provider-path`,
    );
  }

  /**
   * Refuses a run that uses something at the provider that its caller may not get
   * there.
   *
   * @throws {Problem} 403 `forbidden`.
   */
  assertMayGet(access: Access, target: Target): void {
    if (target.provider.key === undefined) return;
    if (this.#mayAsk(access, "GET", target, undefined)) return;
    throw forbidden(
      `Expected a token with the right for 'GET ${target.path}' at the provider '${target.provider.name}', which the run uses and the relay does not know to be its holder's: in its 'rivulet.provider', or in --allow-provider-path`,
    );
  }

  /**
   * Refuses a request for a run whose body the relay cannot read, unless its caller may
   * use everything.
   *
   * @throws {Problem} 400 `invalid_body`.
   */
  assertMayGoUnread(
    { access, target }: Pick<Asked, "access" | "target">,
  ): void {
    const { provider, path } = target;
    if (provider.key === undefined) return;
    if (!isRunPath(path)) return;
    const mayUseAll = [...REFERENCED].every((collection) =>
      this.#mayAsk(
        access,
        "GET",
        { ...target, path: `${collection}/?` },
        undefined,
      )
    );
    if (mayUseAll) return;
    throw new Problem(
      STATUS_CODE.BadRequest,
      "invalid_body",
      "Expected an object of JSON in UTF-8, with the Content-Type application/json and each name once: the relay reads what a run uses at the provider",
    );
  }

  #mayAsk(
    access: Access,
    method: string,
    { provider, path }: Target,
    topic: string | undefined,
  ): boolean {
    const request = `${method} ${path}`;
    const named = `${provider.name}:${request}`;
    const said = access.mayAsk(named);
    if (said !== undefined) return said;
    return DEFAULT.some((pattern) => pattern.matches(request)) ||
      this.#allowed.some((pattern) => pattern.matches(named)) ||
      topic !== undefined && OWN_RESPONSE.test(request);
  }
}
