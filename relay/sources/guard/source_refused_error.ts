/** The reason why a source is refused. */
export type SourceRefusal =
  | {
    /** No pattern of the operator matches its URL. */
    readonly code: "source_not_allowed";
    /** The host that was asked for. */
    readonly host: string;
  }
  | {
    /** The operator allows no source at its address. */
    readonly code: "address_not_allowed";
    /** The host that was asked for. */
    readonly host: string;
    /** An address of it that is not allowed. */
    readonly address: string;
  }
  | {
    /** It has no address, or none that could be found just now. */
    readonly code: "unknown_host";
    /** The host that was asked for. */
    readonly host: string;
  };

const NO_ADDRESS =
  "its host has no address that the operator has allowed (--allow-address)";

const MESSAGES: Readonly<Record<SourceRefusal["code"], string>> = {
  source_not_allowed:
    "the operator has not allowed topics to be made from there (--allow-source)",
  address_not_allowed: NO_ADDRESS,
  unknown_host: NO_ADDRESS,
};

/**
 * The operator does not allow a source to be where it was to be.
 *
 * The message is for everybody, so it names no address, and is the same for a
 * host that there is not: who may name hosts would learn from it which ones the
 * relay's own network has, and what they are. The other facts are for the log.
 */
export class SourceRefusedError extends Error {
  /** The rule that refused it, for programs. */
  readonly code: SourceRefusal["code"];
  /** The facts of the refusal; not to be shown to the caller. */
  readonly refusal: SourceRefusal;

  /** Says what is not allowed. */
  constructor(refusal: SourceRefusal, options?: ErrorOptions) {
    super(MESSAGES[refusal.code], options);
    this.name = "SourceRefusedError";
    this.code = refusal.code;
    this.refusal = refusal;
  }
}
