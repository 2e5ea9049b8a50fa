/**
 * The relay's command line: `deno run -A jsr:@rivulet/rivulet/cli --help`.
 *
 * @module
 */
import process from "node:process";
import { configure, getStreamSink, getTextFormatter } from "@logtape/logtape";
import { parseFlags } from "./flags.ts";
import { createRelay, type RelayAddress } from "./relay.ts";

/** The status for a command line, or a surrounding, that it cannot start with. */
const CANNOT_START = 2;

function banner(
  { url }: RelayAddress,
  topics: readonly string[],
  providers: readonly string[],
): string {
  const ws = url.replace(/^http/, "ws");
  const lines = [`Rivulet relay on ${url}`];
  for (const topic of topics) {
    lines.push(
      "",
      `topic ${topic}`,
      `  WebSocket  ${ws}/topics/${topic}`,
      `  SSE        ${url}/topics/${topic}`,
    );
  }
  const [topic] = topics;
  if (topic !== undefined) {
    lines.push(
      "",
      "Try one of these:",
      `  npx --yes wscat@6.1.0 -c ${ws}/topics/${topic}`,
      `  websocat ${ws}/topics/${topic}`,
      `  curl -N ${url}/topics/${topic}`,
      "  and in a browser's console:",
      `  new WebSocket("${ws}/topics/${topic}").onmessage = (e) => console.log(e.data)`,
    );
  }
  for (const [index, provider] of providers.entries()) {
    lines.push(
      "",
      `provider ${provider}`,
      `  base URL   ${url}/${provider}/v1${
        index === 0 ? `, or ${url}/v1` : ""
      }`,
    );
  }
  return [...lines, "", "Ctrl-C stops it; a second one does so at once."].join(
    "\n",
  );
}

async function main(args: readonly string[]): Promise<void> {
  const command = parseFlags(args, (name) => process.env[name]);
  if (command.kind === "help") return console.log(command.text);
  const { options, logLevel, drain } = command;
  await configure({
    sinks: {
      stderr: getStreamSink(
        new WritableStream<Uint8Array>({
          write: (line) => void process.stderr.write(line),
        }),
        { formatter: getTextFormatter() },
      ),
    },
    loggers: [
      { category: "rivulet", lowestLevel: logLevel, sinks: ["stderr"] },
      {
        category: ["logtape", "meta"],
        lowestLevel: "error",
        sinks: ["stderr"],
      },
    ],
  });
  const relay = createRelay(options);
  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      stopped.resolve();
      if (++signals > 1) void relay.close();
    });
  }
  const address = await relay.listen();
  const names = [...options.sources ?? [], ...options.fixtures ?? []]
    .map(({ name }) => name);
  const providers = (options.providers ?? []).map(({ name }) => name);
  console.log(banner(address, names, providers));
  if (!options.insecureOpen) {
    console.log("Only this machine can reach it: no key is configured.");
  }
  await stopped.promise;
  console.log("Stopping.");
  await relay.drain(drain);
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
    process.exit(0);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(`rivulet: ${message.replaceAll(/\s*\n\s*/g, " ")}`);
    process.exit(CANNOT_START);
  }
}
