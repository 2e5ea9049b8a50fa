import { wait } from "../../../src/fetch/retry.ts";
import { duration } from "../../options/kinds.ts";
import { type Command, FlagError, parseFlags } from "../command.ts";
import type { System } from "../system.ts";
import { Metrics } from "./metrics_text.ts";
import { ACCESS_FLAGS, ACCESS_HELP, RelayAccess } from "./relay_access.ts";
import { ifAllowed, statusOf } from "./relay_status.ts";
import { stopping } from "./stopping.ts";
import { type ListedTopic, listTopics } from "./topic_lists.ts";
import { type Sample, topScreen } from "./top_screen.ts";

const HELP = `Shows what goes on in a relay, on one screen that is drawn again.

Usage: rivulet top [FLAG ...]

Shows the busiest topics that have not ended, the number of their followers,
and how many events the slowest follower is behind; with the right admin also
the version, the store, how late events come, runs and refusals. Ctrl-C ends
it. If stdout is no terminal, it prints the screen once.

  --every TIME    the time between updates: 500ms, 2s (default), 1m
  --prefix TEXT   only topics whose names begin so

${ACCESS_HELP}`;

const FLAGS = {
  every: { type: "string", default: "2s" },
  prefix: { type: "string" },
  ...ACCESS_FLAGS,
} as const;

const interval = duration();

/** The alternate screen, which leaves what was on the terminal, without a cursor; and back. */
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";

/** To the upper left; and what is left of a line, and below the last one, is erased. */
const HOME = "\x1b[H";
const ERASE_LINE = "\x1b[K";
const ERASE_BELOW = "\x1b[J";

/** The command that shows what goes on. */
export const topCommand: Command = { help: HELP, run: top };

async function top(args: readonly string[], system: System): Promise<void> {
  const { values } = parseFlags(args, { options: FLAGS });
  const every = interval.schema.safeParse(interval.fromText(values.every));
  if (!every.success) {
    throw new FlagError(
      `--every: expected ${interval.wanted}, got '${values.every}'`,
    );
  }
  const signal = stopping(system);
  const relay = new RelayAccess(values, system, signal);
  const { clock, isOutputTerminal } = system;
  const take = () => sample(relay, values.prefix, system);
  let before = await take();
  try {
    if (isOutputTerminal) await system.write(ENTER);
    for (let now = before;; before = now, now = await take()) {
      const lines = topScreen(
        relay.address,
        now,
        before,
        isOutputTerminal
          ? system.outputSize()
          : { columns: Infinity, rows: Infinity },
      );
      if (isOutputTerminal) {
        const drawn = lines.map((line) => line + ERASE_LINE).join("\r\n");
        await system.write(HOME + drawn + ERASE_BELOW);
      } else if (now !== before) {
        return await system.write(`${lines.join("\n")}\n`);
      }
      await wait(every.data, clock, signal);
    }
  } finally {
    // Also where a signal has ended it.
    if (isOutputTerminal) await system.write(LEAVE);
  }
}

async function sample(
  relay: RelayAccess,
  prefix: string | undefined,
  { clock }: System,
): Promise<Sample> {
  const topics: ListedTopic[] = [];
  for (const state of ["pending", "open"]) {
    for await (const page of listTopics(relay, { prefix, state })) {
      topics.push(...page);
    }
  }
  return {
    time: clock.now(),
    topics,
    metrics: await metricsOf(relay),
    status: await statusOf(relay),
  };
}

async function metricsOf(relay: RelayAccess): Promise<Metrics | undefined> {
  const response = await ifAllowed(relay, "metrics");
  return response && new Metrics(await response.text());
}
