import type { ServerResponse } from "node:http";
import type { Access } from "../../rights/access.ts";

/** A request that may be answered, and who has made it. */
export interface Call {
  /** The request. */
  readonly request: Request;
  /** Where it goes, without a token of the relay's. */
  readonly url: URL;
  /** What it says, without a token of the relay's. */
  readonly headers: Headers;
  /** For an answer that is written as it comes. */
  readonly response: ServerResponse;
  /** What the caller may do. */
  readonly access: Access;
  /** Where the caller is. */
  readonly address: string;
  /** Names the caller among all others, for limits. */
  readonly client: string;
}
