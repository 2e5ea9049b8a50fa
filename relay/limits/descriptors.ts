import { readFileSync } from "node:fs";

/** The descriptors that are kept for anything but clients: a share of all, within bounds. */
const RESERVED = { share: 1 / 4, least: 48, most: 2_048 };

/** Of the rest, the share for connections that were refused and are about to close. */
const LINGERING = { share: 1 / 16, most: 256 };

/** The numbers of connections that the descriptors of the process suffice for. */
export interface DescriptorBudget {
  /** The descriptors that the process may have. */
  readonly descriptors: number;
  /** The most sockets of the server, refused ones included. */
  readonly sockets: number;
  /** The most connections of clients. */
  readonly connections: number;
  /** The most refused connections that are given time to read why. */
  readonly lingering: number;
}

/**
 * Returns the number of descriptors that this process may have; `undefined` where the
 * system does not say, or may not be asked.
 */
export function descriptorLimit(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const [, soft] = /^Max open files\s+([0-9]+)/m.exec(limits) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/**
 * Divides the descriptors of a process.
 *
 * A process without a free one accepts no connection, and the runtime then never
 * accepts one again. What upstreams, files and the runtime itself need is kept back.
 *
 * @param descriptors The number of descriptors; `undefined` if it is not known.
 */
export function divideDescriptors(
  descriptors: number | undefined,
): DescriptorBudget {
  if (descriptors === undefined) {
    const { most: lingering } = LINGERING;
    return {
      descriptors: Infinity,
      sockets: Infinity,
      connections: Infinity,
      lingering,
    };
  }
  const { share, least, most } = RESERVED;
  const reserved = Math.min(most, Math.max(least, descriptors * share));
  const left = Math.max(1, Math.floor(descriptors - reserved));
  const lingering = Math.min(
    LINGERING.most,
    Math.floor(left * LINGERING.share),
  );
  return {
    descriptors,
    sockets: left,
    connections: Math.max(1, left - lingering),
    lingering,
  };
}
