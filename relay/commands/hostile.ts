import { basename } from "node:path";
import {
  formatHostilePlan,
  HostilePlanError,
  type HostileRequest,
} from "../../src/testing/mod.ts";
import { type Command, FlagError, parseFlags } from "./command.ts";
import {
  type HostileServer,
  type HostileServerOptions,
  startHostileServer,
} from "./hostile_server.ts";
import type { System } from "./system.ts";

const HELP = `Runs a provider of language models that fails as it is told to.

Usage: rivulet hostile [FLAG ...]

  --port NUMBER        the port to listen on; 0 takes any; default 8788
  --host ADDRESS       the address to listen on; default 127.0.0.1
  --pace MS            the milliseconds between events; default 20
  --deltas NUMBER      the words of an answer; default: those of the request
  --plan PLAN          what happens to requests without a plan of their own;
                       replaces --pace and --deltas
  --recording PATH     an event stream (.sse) to answer with, by its file's
                       name; any number of times
  --api-key KEY        rejects requests with another key

A request has its plan in the header 'Hostile: PLAN': parts of this list, with
';' between them:

  deltas=N  recording=NAME  body=TEXT (percent-encoded)  json  html  empty
  status=N  with retry-after=S, retry-after-date=S or retry-after-ms=N
  delay=MS  pace=MS  chunk=event|whole|BYTES[,BYTES ...]
  lines=crlf|cr  bom  comments=N  pings=N (before every Nth event)
  duplicate=N  missing=N  reordered=N (the Nth event)  unnumbered
  stall  reset  cut  truncate  error  with at=request|head|end, after=N or
  within=N events, and silence=MS before; hold (the same as stall; at=end)

Permissions, instead of -A:
  --allow-net=127.0.0.1:8788
  --allow-read=PATHS         for --recording
`;

const FLAGS = {
  port: { type: "string", default: "8788" },
  host: { type: "string", default: "127.0.0.1" },
  pace: { type: "string", default: "20" },
  deltas: { type: "string" },
  plan: { type: "string" },
  recording: { type: "string", multiple: true },
  "api-key": { type: "string" },
} as const;

function banner(url: string, recordings: readonly string[]): string {
  return `Hostile provider on ${url}/v1${
    recordings.length === 0 ? "" : `, with ${recordings.join(", ")}`
  }

Try one of these:
  curl -N ${url}/v1/responses -d '{"input": "Why is the sky blue?", "stream": true}'
  curl -N ${url}/v1/responses -H 'Hostile: pace=200; reset; after=5' \\
    -d '{"input": "Why is the sky blue?", "stream": true}'
  curl -i ${url}/v1/models -H 'Hostile: status=429; retry-after=2'
  OPENAI_BASE_URL=${url}/v1 OPENAI_API_KEY=any YOUR-PROGRAM

More plans: rivulet help hostile. Ctrl-C stops it.`;
}

/** Writes a request and its outcome; of its headers no more than the plan. */
async function show(request: HostileRequest, { say }: System): Promise<void> {
  const { method, path } = request;
  say(`${method} ${path}  ${formatHostilePlan(request.plan)}`);
  const outcome = await request.done;
  say(`${method} ${path}  ${outcome}, events: ${request.events}`);
}

/** The command that runs a hostile provider. */
export const hostile: Command = {
  help: HELP,
  async run(args, system) {
    const { values } = parseFlags(args, { options: FLAGS });
    const port = Number(values.port);
    if (!/^[0-9]+$/.test(values.port) || port > 65_535) {
      throw new FlagError(`--port: expected a port, got '${values.port}'`);
    }
    const recordings: Record<string, Uint8Array> = {};
    for (const path of values.recording ?? []) {
      recordings[basename(path, ".sse")] = await system.readBytes(path);
    }
    const deltas = values.deltas === undefined ? "" : `deltas=${values.deltas}`;
    const stopped = Promise.withResolvers<void>();
    await using server = await start({
      hostname: values.host,
      port,
      plan: values.plan ?? `pace=${values.pace}; ${deltas}`,
      recordings,
      apiKey: values["api-key"],
      onRequest: (request) => void show(request, system),
    });
    system.onStop(() => stopped.resolve());
    system.say(banner(server.url, Object.keys(recordings)));
    await stopped.promise;
  },
};

async function start(options: HostileServerOptions): Promise<HostileServer> {
  try {
    return await startHostileServer(options);
  } catch (cause) {
    if (!(cause instanceof HostilePlanError)) throw cause;
    throw new FlagError(cause.message, { cause });
  }
}
