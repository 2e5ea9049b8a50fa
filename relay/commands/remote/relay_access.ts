import { z } from "zod";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { parseRetryAfter } from "../../../src/fetch/retry.ts";
import { BEARER_TOKEN_FORM, isBearerToken } from "../../rights/bearer_token.ts";
import { FlagError, UnavailableError } from "../command.ts";
import type { System } from "../system.ts";

/** The address of a relay that was started without `--host` and `--port`. */
const DEFAULT_URL = "http://127.0.0.1:8787";

const URL_VARIABLE = "RIVULET_URL";
const TOKEN_VARIABLE = "RIVULET_TOKEN";

/** The flags that say which relay a command talks to. */
export const ACCESS_FLAGS = {
  url: { type: "string" },
  token: { type: "string" },
} as const;

/**
 * The help for these flags, and for the permissions that such a command needs.
 */
export const ACCESS_HELP = `The relay:
  --url URL        its address; default: ${URL_VARIABLE} of the environment, or
                   ${DEFAULT_URL}
  --token TOKEN    a token, if the relay requires one; default:
                   ${TOKEN_VARIABLE} of the environment. Other users of the
                   machine can see a command line

Permissions, instead of -A:
  --allow-net=HOST:PORT                    the relay's
  --allow-env=${URL_VARIABLE},${TOKEN_VARIABLE}
`;

/** The relay has refused a request. */
export class RefusedError extends Error {
  /** The code for programs: that of the relay's problem. */
  readonly code: string;
  /** The HTTP status. */
  readonly status: number;
  /** The time after which the relay may be asked again, in milliseconds. */
  readonly retryAfter: number | undefined;

  /** Repeats what the relay has said. */
  constructor(
    code: string,
    status: number,
    detail: string,
    retryAfter: number | undefined,
  ) {
    super(`The relay has refused it (${status} ${code}): ${detail}`);
    this.name = "RefusedError";
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const problem = z.object({
  code: z.string(),
  detail: z.string().default("it does not say why"),
});

/** Values of the flags in {@linkcode ACCESS_FLAGS}. */
interface AccessFlags {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
}

/** A relay that runs somewhere, as the commands reach it. */
export class RelayAccess {
  readonly #base: URL;
  /** The token for the relay. */
  readonly token: string | undefined;
  readonly #signal: AbortSignal;

  /**
   * Finds the relay.
   *
   * @param flags The flags.
   * @param system Has the environment.
   * @param signal Ends every request.
   * @throws {FlagError} If the address or the token is none.
   */
  constructor(
    { url, token }: AccessFlags,
    system: Pick<System, "environment">,
    signal: AbortSignal,
  ) {
    const variable = url === undefined
      ? system.environment(URL_VARIABLE)
      : undefined;
    const name = variable ? URL_VARIABLE : "--url";
    this.#base = baseOf(name, url ?? (variable || DEFAULT_URL));
    this.token = (token ?? system.environment(TOKEN_VARIABLE)) || undefined;
    if (this.token !== undefined && !isBearerToken(this.token)) {
      const place = token === undefined ? TOKEN_VARIABLE : "--token";
      throw new FlagError(`${place}: expected ${BEARER_TOKEN_FORM}`);
    }
    this.#signal = signal;
  }

  /** The address, for messages. */
  get address(): string {
    return this.#base.origin + this.#base.pathname.replace(/\/$/, "");
  }

  /** Returns the URL of a path without a slash in front. */
  url(path: string): URL {
    return new URL(path, this.#base);
  }

  /**
   * Makes a request.
   *
   * @param path The path without a slash in front.
   * @param init Method, headers and body.
   * @returns An answer that is no refusal.
   * @throws {UnavailableError} If there is no answer.
   * @throws {RefusedError} If the answer is a refusal.
   */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.token) headers.set("Authorization", `Bearer ${this.token}`);
    let response: Response;
    try {
      const signal = this.#signal;
      response = await fetch(this.url(path), { ...init, headers, signal });
    } catch (cause) {
      this.#signal.throwIfAborted();
      throw new UnavailableError(
        `Expected an answer of the relay at ${this.address}, got none: ${
          messageOf(cause)
        }: start it, or name another with --url`,
        { cause },
      );
    }
    if (response.ok) return response;
    throw await refusalOf(response);
  }
}

function baseOf(name: string, text: string): URL {
  const url = URL.parse(text);
  if (!url || !/^(?:http|ws)s?:$/.test(url.protocol)) {
    throw new FlagError(
      `${name}: expected a URL such as ${DEFAULT_URL}, got '${text}'`,
    );
  }
  url.protocol = url.protocol.replace("ws", "http");
  url.search = "";
  url.hash = "";
  // The relay's WebSocket URL also counts as the relay's address.
  url.pathname = url.pathname.replace(/\/(?:ws)?$/, "") + "/";
  return url;
}

async function refusalOf(response: Response): Promise<RefusedError> {
  const { status } = response;
  const text = await response.text();
  const retryAfter = parseRetryAfter(response.headers, Date.now());
  let said: z.infer<typeof problem>;
  try {
    said = problem.parse(JSON.parse(text));
  } catch {
    // A proxy's answer, or that of another server; a HEAD has no body at all.
    said = {
      code: "refused",
      detail: response.statusText || "it does not say why",
    };
  }
  return new RefusedError(said.code, status, said.detail, retryAfter);
}
