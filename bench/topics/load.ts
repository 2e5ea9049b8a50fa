/** The load with which a relay or a proxy is measured. */
export interface Load {
  /** Whether a provider's runs or publishers fill the topics. */
  readonly kind: "runs" | "publish";
  /** The number of topics: one for each run or publisher. */
  readonly topics: number;
  /** The number of followers of each. */
  readonly followers: number;
  /** In events a second, of each topic. */
  readonly rate: number;
}

/**
 * Reads a load: `500x3` is 500 runs with 3 followers each at 50 events/s,
 * `publish:400x1@25` is 400 publishers with one follower each at 25 events/s.
 *
 * @throws {RangeError} If it cannot be understood.
 */
export function parseLoad(text: string): Load {
  const [, publish, topics, followers, rate = 50] =
    /^(publish:)?([1-9][0-9]*)x([0-9]+)(?:@([1-9][0-9]*))?$/.exec(text) ?? [];
  if (topics === undefined) {
    throw new RangeError(
      `Expected a load such as 500x3, 500x3@20 or publish:400x1: got '${text}'`,
    );
  }
  return {
    kind: publish ? "publish" : "runs",
    topics: Number(topics),
    followers: Number(followers),
    rate: Number(rate),
  };
}

/** Writes a load as {@linkcode parseLoad} reads it. */
export function loadText({ kind, topics, followers, rate }: Load): string {
  const prefix = kind === "publish" ? "publish:" : "";
  return `${prefix}${topics}x${followers}@${rate}`;
}
