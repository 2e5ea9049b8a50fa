import type { CompleteRelayOptions } from "../options/schema.ts";
import type { Colleagues } from "./colleagues.ts";
import type { RelayParts } from "./parts.ts";

/** The parts and the situation of a relay whose topics are to be filled. */
export interface OwnTopicsContext {
  /** The options of the relay. */
  readonly options: CompleteRelayOptions;
  /** The topics, and what fills them. */
  readonly parts: Pick<RelayParts, "topics" | "sources">;
  /** The other workers; `undefined` if it is the only process. */
  readonly colleagues: Colleagues | undefined;
  /** Aborted when the relay closes. */
  readonly closing: AbortSignal;
}
