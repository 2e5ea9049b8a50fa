import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { isCredentialName } from "../../src/fetch/secrets/definition.ts";
import { queryFields } from "../../src/fetch/secrets/urls.ts";
import type { IncomingBody } from "../limits/incoming_body.ts";
import { issueText } from "../issue_text.ts";
import { Problem } from "../problem.ts";
import type { Access } from "../rights/access.ts";
import { ifEnded } from "../topics/if_ended.ts";
import type { HeaderList } from "../header_list.ts";
import { RUN_NAME_RULE, runName } from "./agents/run_name.ts";
import type { GatewayProvider } from "./provider.ts";

/** A request to the gateway, whichever way it came, and its caller. */
export interface GatewayRequest {
  /** The request. */
  readonly request: Pick<Request, "method">;
  /** The URL of the request, without a token of the relay's. */
  readonly url: URL;
  /** The headers of the request, without a token of the relay's. */
  readonly headers: HeaderList;
  /** The rights of the caller. */
  readonly access: Access;
  /** The address of the caller. */
  readonly address: string;
  /** The name under which limits count the caller. */
  readonly client: string;
}

/** A request to the gateway that came over HTTP. */
export interface GatewayCall extends GatewayRequest {
  /** The request. */
  readonly request: Request;
  /** The response to the caller. */
  readonly response: ServerResponse;
  /** The body, as limits count it: until the call is over. */
  readonly incoming: IncomingBody;
}

/** The place that a request goes to. */
export interface Target {
  /** The provider. */
  readonly provider: GatewayProvider;
  /** The path below the provider's URL, without query. */
  readonly path: string;
  /** The URL at the provider. */
  readonly url: URL;
}

/** A request that is being answered. */
export interface Asked extends GatewayRequest {
  /** The place that the request goes to. */
  readonly target: Target;
  /** The options that the caller gives the relay. */
  readonly options: RunOptions;
  /** The name of the topic, if the request comes to have one. */
  readonly topicName: string;
  /**
   * The agent's session, if a header names it: what comes with it is of one agent. A
   * key of a cache in the body may be shared by all users of an application.
   */
  readonly agentSession: string | undefined;
}

/** The same, of a request that came over HTTP. */
export interface AskedCall extends Asked, GatewayCall {
  /** The request. */
  readonly request: Request;
}

/** The options that a caller gives the relay, besides its request to the provider. */
export interface RunOptions {
  /** The name of the topic, which may have to be completed. */
  readonly topic: string | undefined;
  /** Whether a new epoch of the topic begins if it has ended. */
  readonly renews: boolean;
  /** Whether the run goes on when the caller leaves. Default: as its provider has it. */
  readonly onDisconnect: "continue" | "cancel" | undefined;
  /** The key under which a request is the same as an earlier one. */
  readonly idempotencyKey: string | undefined;
}

/** The header that names the topic of a run. */
export const TOPIC_HEADER = "rivulet-topic";

const options = z.object({
  [TOPIC_HEADER]: runName.optional(),
  "rivulet-if-ended": ifEnded.optional(),
  "rivulet-on-disconnect": z.enum(["continue", "cancel"], {
    message: "Expected 'continue' or 'cancel'",
  }).optional(),
  "idempotency-key": z.string().min(1).max(255).optional(),
});

const NAMES = Object.keys(options.shape);

/** The options of most requests, which name none. */
const DEFAULTS: RunOptions = {
  topic: undefined,
  onDisconnect: undefined,
  idempotencyKey: undefined,
  renews: false,
};

/**
 * Reads the options that a caller gives the relay.
 *
 * @throws {Problem} If an option has no valid value.
 */
export function readRunOptions(headers: HeaderList): RunOptions {
  if (!NAMES.some((name) => headers.has(name))) return DEFAULTS;
  const given = Object.fromEntries(
    NAMES.map((name) => [name, headers.get(name) ?? undefined]),
  );
  const { data, error } = options.safeParse(given);
  if (data) {
    return {
      topic: data[TOPIC_HEADER],
      renews: data["rivulet-if-ended"] === "renew",
      onDisconnect: data["rivulet-on-disconnect"],
      idempotencyKey: data["idempotency-key"],
    };
  }
  const [issue] = error.issues;
  const name = String(issue?.path[0]);
  throw name === TOPIC_HEADER
    ? new Problem(
      STATUS_CODE.BadRequest,
      "invalid_topic",
      `Expected Rivulet-Topic to be ${RUN_NAME_RULE}`,
    )
    : new Problem(
      STATUS_CODE.BadRequest,
      "invalid_header",
      `The header ${issueText(error).replace(`["${name}"]`, name)}`,
    );
}

/** Returns a name for a caller that does not reveal its key: callers with the same keys have the same. */
export function identityOf(
  { headers, url: { search } }: Pick<GatewayRequest, "headers" | "url">,
): string {
  const fields = queryFields(search)
    .map(({ name, value }) => [`?${name.toLowerCase()}`, value] as const);
  const keys = [...headers, ...fields]
    .filter(([name]) => isCredentialName(name.replace("?", "")));
  return digest(JSON.stringify(keys));
}

/** Returns a digest of bytes or text: SHA-256 in base64url. */
export function digest(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("base64url");
}

/** The bytes that are digested in a step. */
const STEP = 256 * 1024;

/** Returns a digest of bytes, as {@linkcode digest} does, in steps. */
export function* digestOf(bytes: Uint8Array): Generator<void, string> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.length; at += STEP) {
    hash.update(bytes.subarray(at, at + STEP));
    yield;
  }
  return hash.digest("base64url");
}
