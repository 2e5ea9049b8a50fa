/** What may be done with a topic (protocol, section 5). */
export type Right = "read" | "write" | "cancel";

/** What one caller may do. */
export interface Access {
  /** Names the caller, for limits and for what is kept per caller; not to be shown. */
  readonly identity: string;
  /** Until when this holds, in milliseconds since the epoch; `Infinity` for always. */
  readonly expires: number;
  /** Whether it may do everything, and see what is nobody's topic. */
  readonly isAdmin: boolean;
  /** Whether it may do something with a topic. */
  may(right: Right, topic: string): boolean;
}

/** What everybody may do who reaches a relay without a key. */
export const FULL_ACCESS: Access = {
  identity: "",
  expires: Infinity,
  isAdmin: true,
  may: () => true,
};
