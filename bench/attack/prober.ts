/**
 * The prober of the attack bench, a process of its own: asks a relay for its health
 * on new connections, at an even pace, however long the answers take.
 *
 * `prober.ts PORT`; of the lines on its input, `begin` forgets what was measured,
 * and `end` prints it.
 *
 * @module
 */
import { connect } from "node:net";
import { lines } from "../fanout/lines.ts";

/** The measurements of a prober, in milliseconds. */
export interface Health {
  readonly asked: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const INTERVAL = 10;

/** A connection on which nothing comes for longer is given up, in milliseconds. */
const TIMEOUT = 10_000;

/** A question that is still open after this long counts as failed, in milliseconds. */
const PATIENCE = 1_000;

const REQUEST =
  "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

interface Probe {
  readonly start: number;
  took: number | undefined;
  failed: boolean;
}

function ask(port: number): Probe {
  const probe: Probe = {
    start: performance.now(),
    took: undefined,
    failed: false,
  };
  const socket = connect({ port, host: "127.0.0.1" });
  const settle = (failed: boolean): void => {
    if (probe.took !== undefined) return;
    probe.took = performance.now() - probe.start;
    probe.failed = failed;
    socket.destroy();
  };
  socket.setTimeout(TIMEOUT, () => settle(true));
  socket.on("connect", () => socket.write(REQUEST));
  socket.on("error", () => settle(true));
  socket.on("close", () => settle(true));
  socket.on("data", (data) => settle(!`${data}`.startsWith("HTTP/1.1 200")));
  return probe;
}

function summary(probes: readonly Probe[]): Health {
  const now = performance.now();
  // An answer that has not come yet has taken so long at least.
  const took = probes.map((probe) => probe.took ?? now - probe.start)
    .sort((a, b) => a - b);
  const at = (share: number): number =>
    took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? NaN;
  return {
    asked: probes.length,
    failed:
      probes.filter(({ failed, took, start }) =>
        failed || (took === undefined && now - start > PATIENCE)
      ).length,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
  };
}

if (import.meta.main) {
  const port = Number(Deno.args[0]);
  let probes: Probe[] = [];
  setInterval(() => probes.push(ask(port)), INTERVAL);
  console.log("ready");
  for await (const line of lines(Deno.stdin.readable)) {
    if (line === "begin") probes = [];
    else console.log(JSON.stringify(summary(probes)));
  }
  Deno.exit();
}
