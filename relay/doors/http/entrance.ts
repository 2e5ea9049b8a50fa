import type { IncomingMessage, ServerResponse } from "node:http";
import { getLogger } from "@logtape/logtape";
import { HeaderList } from "../../header_list.ts";
import type { WebSocketCaller } from "../websocket/peer.ts";
import type {
  ClientAddress,
  ClientAddresses,
} from "../../limits/client_addresses.ts";
import type { BodyIntake, IncomingBody } from "../../limits/incoming_body.ts";
import type { Problem } from "../../problem.ts";
import {
  type Access,
  type Authority,
  FULL_ACCESS,
  OPEN_AUTHORITY,
} from "../../rights/access.ts";
import {
  type Credential,
  type CredentialRequest,
  findCredential,
  withoutToken,
} from "../../rights/credential.ts";
import { applyCors } from "./origins/apply_cors.ts";
import type { OriginWarnings } from "./origins/origin_warnings.ts";
import type { Origins } from "./origins/origins.ts";

/** The context of the entrance. */
export interface EntranceContext {
  /** Returns the rights of a token's holder. */
  readonly authority: Authority;
  /** Whether a token may come in a URL. */
  readonly allowQueryToken: boolean;
  /** Decides which web pages may use the relay. */
  readonly origins: Origins;
  /** Tells the operator which pages are refused. */
  readonly warnings: OriginWarnings;
  /** Finds the address of a request's client. */
  readonly addresses: ClientAddresses;
  /** Counts the bodies of requests. */
  readonly intake: BodyIntake;
  /** Counts a refusal, by its code. */
  refused(code: string): void;
}

/** A request that may be answered, and the caller that has made it. */
export interface Call {
  /** The request. */
  readonly request: Request;
  /** The URL of the request, without a token of the relay's. */
  readonly url: URL;
  /** The headers of the request, without a token of the relay's. */
  readonly headers: HeaderList;
  /** The response, for an answer that is written as it comes. */
  readonly response: ServerResponse;
  /** The rights of the caller. */
  readonly access: Access;
  /** The address of the caller. */
  readonly address: string;
  /** The name under which limits count the caller. */
  readonly client: string;
  /** The body, as limits count it: until the call is over. */
  readonly incoming: IncomingBody;
}

/** The client of an upgrade at the gateway. */
export type ResponsesCaller = Pick<
  Call,
  "access" | "address" | "client" | "headers" | "url"
>;

/** The destination of a call: the relay itself, or a provider behind it. */
export type CallDoor = "http" | "gateway";

const logger = getLogger(["rivulet", "relay", "http"]);

/** Identifies the caller of each request, and lets in the callers that may use the relay. */
export class Entrance {
  readonly #context: EntranceContext;

  /** Makes an entrance. */
  constructor(context: EntranceContext) {
    this.#context = context;
  }

  /**
   * Checks the web page that sends a request; to be called before all else.
   *
   * @param response Not yet begun: what the browser has to be told is added to it.
   * @returns The whole answer, where a browser has only asked whether its page may ask.
   * @throws {Problem} If it is of a page that may not use the relay.
   */
  greet(response: ServerResponse): Response | undefined {
    return applyCors(response, this.#context.origins);
  }

  /** Lets in a request that needs no token. */
  open(request: Request, response: ServerResponse): Call {
    return this.#call(
      request,
      response,
      FULL_ACCESS,
      undefined,
      new URL(request.url),
    );
  }

  /**
   * Lets in a caller with a token, if the relay asks for one.
   *
   * @param request The request.
   * @param response The response.
   * @param door The door that is asked for. Default: the relay itself.
   * @param url The URL of the request, if it is parsed already.
   * @throws {Problem} 400, 401 or 503 if there is none that is good; by rejecting.
   */
  async admit(
    request: Request,
    response: ServerResponse,
    door: CallDoor = "http",
    url: URL = new URL(request.url),
  ): Promise<Call> {
    const { headers } = request;
    const query = url.searchParams;
    const credential = this.#credential({ door, headers, query });
    const { authority } = this.#context;
    const access = await authority.authorize(credential?.token);
    return this.#call(request, response, access, credential, url);
  }

  /**
   * Lets an upgrade pass of who has a token, where one is needed, and is of a page
   * that may ask.
   *
   * @throws {Problem} If it may not be; by rejecting.
   */
  async admitUpgrade(incoming: IncomingMessage): Promise<WebSocketCaller> {
    const { authority, origins } = this.#context;
    const { headers, url = "/" } = incoming;
    origins.check(headers);
    // The host is of no interest here, and may be anything.
    const query = new URL(url, "http://relay").searchParams;
    const credential = this.#credential({ door: "upgrade", headers, query });
    const access = await authority.authorize(credential?.token);
    return { access, ...this.#addressOf(incoming) };
  }

  /**
   * Lets an upgrade at the gateway pass, as {@linkcode admitUpgrade} does others.
   *
   * @throws {Problem} If it may not be; by rejecting.
   */
  async admitResponses(incoming: IncomingMessage): Promise<ResponsesCaller> {
    const { authority, origins } = this.#context;
    const { headers, url = "/" } = incoming;
    origins.check(headers);
    const base = `http://${headers.host ?? "relay"}`;
    const asked = new URL(url, URL.canParse(base) ? base : "http://relay");
    const query = asked.searchParams;
    const credential = this.#credential({ door: "responses", headers, query });
    const access = await authority.authorize(credential?.token);
    const { address, network } = this.#addressOf(incoming);
    return {
      access,
      address,
      client: access.identity || network,
      headers: withoutCredential(
        HeaderList.fromRaw(incoming.rawHeaders),
        credential,
      ),
      url: authority === OPEN_AUTHORITY
        ? asked
        : new URL(withoutToken(asked.href)),
    };
  }

  /** Takes note of a request or an upgrade that was refused. */
  refused({ status, code }: Problem, incoming: IncomingMessage): void {
    const { method, url = "" } = incoming;
    const { address } = this.#addressOf(incoming);
    this.#context.refused(code);
    this.#context.warnings.refused(code, incoming);
    logger.info("Refused {method} {path} of {address}: {status} {code}", {
      method,
      // Keys of providers are in queries too, and of many names.
      path: url.replace(/[?#].*$/s, ""),
      address,
      status,
      code,
    });
  }

  /** Takes note of what was refused before it could be read. */
  refusedUnread({ status, code }: Problem, address: string): void {
    this.#context.refused(code);
    logger.info(
      "Refused bytes of {address} that are no request: {status} {code}",
      {
        address,
        status,
        code,
      },
    );
  }

  #call(
    request: Request,
    response: ServerResponse,
    access: Access,
    credential: Credential | undefined,
    url: URL,
  ): Call {
    const { address, network } = this.#addressOf(response.req);
    const client = access.identity || network;
    return {
      request,
      headers: withoutCredential(
        HeaderList.fromRaw(response.req.rawHeaders),
        credential,
      ),
      url: this.#context.authority === OPEN_AUTHORITY || url.search === ""
        ? url
        : new URL(withoutToken(url.href)),
      response,
      access,
      address,
      client,
      incoming: this.#context.intake.open(response.req, client),
    };
  }

  #credential(
    request: Omit<CredentialRequest, "allowQueryToken">,
  ): Credential | undefined {
    const { allowQueryToken, authority } = this.#context;
    // An open relay has no tokens of its own: the credential is for the
    // provider.
    if (authority === OPEN_AUTHORITY) return undefined;
    return findCredential({ ...request, allowQueryToken });
  }

  #addressOf(incoming: IncomingMessage): ClientAddress {
    return this.#context.addresses.ofRequest(incoming);
  }
}

/** A caller may have said its token more than once. */
function withoutCredential(
  headers: HeaderList,
  credential: Credential | undefined,
): HeaderList {
  if (!credential) return headers;
  const { token } = credential;
  return new HeaderList(
    [...headers].filter(([, value]) => !value.includes(token)),
  );
}
