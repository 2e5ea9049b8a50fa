import type { ProtocolName } from "../generator/protocol.ts";
import type { BenchProcess } from "../process.ts";

/** The names of the servers that can be compared. */
export const SERVER_NAMES = [
  "relay",
  "secured",
  "bare",
  "ws",
  "deno",
  "bun",
  "nchan",
  "redis",
] as const;

/** The name of a server. */
export type ServerName = typeof SERVER_NAMES[number];

/** A server that runs. */
export interface RunningServer extends AsyncDisposable {
  readonly process: BenchProcess;
  readonly port: number;
}

/** The command that starts a server. */
export interface Launch {
  /** The core that it is bound to; `undefined` for any. */
  readonly core: number | undefined;
  /** The URL of its events, for a server that reads them. */
  readonly upstream: string;
}

/** A server to measure. */
export interface Server {
  readonly name: string;
  /** With its version. */
  readonly title: string;
  /** The protocol between it and subscribers. */
  readonly protocol: ProtocolName;
  /** Whether it reads an event stream, or is sent requests of some kind. */
  readonly feed: "sse" | "posts" | "publishes";
  start(launch: Launch): Promise<RunningServer>;
}

/** A server that cannot be measured here, and why. */
export interface Missing {
  readonly name: string;
  readonly why: string;
}
