import type { RunningServer } from "../fanout/servers/server.ts";

/** The command that starts a proxy between callers and a provider. */
export interface ProxyLaunch {
  /** The core that it is bound to; `undefined` for any. */
  readonly core: number | undefined;
  /** The port of the provider. */
  readonly upstream: number;
}

/** A server between callers and a provider: the relay, or a plain proxy. */
export interface Proxy {
  readonly name: string;
  /** With its version. */
  readonly title: string;
  start(launch: ProxyLaunch): Promise<RunningServer>;
}
