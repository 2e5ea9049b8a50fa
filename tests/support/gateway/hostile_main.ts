/**
 * The hostile provider alone, to point any client at: `deno task hostile --help`.
 *
 * @module
 */
import { basename } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import {
  formatHostilePlan,
  HostilePlanError,
  type HostileRequest,
} from "../../../src/testing/mod.ts";
import { startHostileServer } from "./hostile_server.ts";

const HELP = `A provider of language models that is as bad as it is told to be.

Usage: deno task hostile [FLAG ...]

  --port NUMBER        default 8788; 0 takes one that is free
  --host ADDRESS       default 127.0.0.1
  --pace MS            between events, default 20
  --deltas NUMBER      how much it says, default: the text that it was given
  --plan PLAN          what becomes of requests that ask for nothing else; then
                       neither --pace nor --deltas
  --recording PATH     the body of an event stream (.sse), under its file's name;
                       any number of times
  --api-key KEY        refuses requests with another key
  --help               this text

A request says what is to become of it in its header 'Hostile: PLAN', with parts
of this list and ';' between them:

  deltas=N  recording=NAME  body=TEXT (percent-encoded)  json  html  empty
  status=N  with retry-after=S, retry-after-date=S or retry-after-ms=N
  delay=MS  pace=MS  chunk=event|whole|BYTES[,BYTES ...]
  lines=crlf|cr  bom  comments=N  pings=N (before every Nth event)
  duplicate=N  missing=N  reordered=N (the Nth event)  unnumbered
  stall  reset  cut  truncate  error  with at=request|head|end, after=N or
  within=N events, and silence=MS before; hold (the same as stall; at=end)
`;

const FLAGS = {
  port: { type: "string", default: "8788" },
  host: { type: "string", default: "127.0.0.1" },
  pace: { type: "string", default: "20" },
  deltas: { type: "string" },
  plan: { type: "string" },
  recording: { type: "string", multiple: true },
  "api-key": { type: "string" },
  help: { type: "boolean", default: false },
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

More plans: deno task hostile --help. Ctrl-C stops it.`;
}

/** Says what was asked, and what became of it; nothing of its headers but the plan. */
async function show(request: HostileRequest): Promise<void> {
  const { method, path } = request;
  const plan = formatHostilePlan(request.plan);
  console.log(`${method} ${path}  ${plan}`);
  const outcome = await request.done;
  console.log(`${method} ${path}  ${outcome}, events: ${request.events}`);
}

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: FLAGS });
  if (values.help) return console.log(HELP);
  const port = Number(values.port);
  if (!/^[0-9]+$/.test(values.port) || port > 65_535) {
    throw new TypeError(`--port: expected a port, got '${values.port}'`);
  }
  const recordings: Record<string, Uint8Array> = {};
  for (const path of values.recording ?? []) {
    recordings[basename(path, ".sse")] = await Deno.readFile(path);
  }
  const deltas = values.deltas === undefined ? "" : `deltas=${values.deltas}`;
  await using server = await startHostileServer({
    hostname: values.host,
    port,
    plan: values.plan ?? `pace=${values.pace}; ${deltas}`,
    recordings,
    apiKey: values["api-key"],
    onRequest: (request) => void show(request),
  });
  console.log(banner(server.url, Object.keys(recordings)));
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
}

/** The status for a command line that it cannot start with. */
const CANNOT_START = 2;

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
    process.exit(0);
  } catch (error) {
    // A mistake in the command line needs no stack.
    const isMistake = error instanceof HostilePlanError ||
      error instanceof TypeError;
    console.error(isMistake ? error.message : error);
    process.exit(CANNOT_START);
  }
}
