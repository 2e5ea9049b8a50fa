import { type Command, parseFlags } from "../command.ts";
import { oneTopic } from "./one_topic.ts";
import { ACCESS_FLAGS, ACCESS_HELP, RelayAccess } from "./relay_access.ts";
import { StatusLine } from "./status_line.ts";
import { stopping } from "./stopping.ts";

const HELP = `Cancels a topic: stops what fills it, and ends it for everybody.

Usage: rivulet cancel TOPIC [FLAG ...]

  --reason WORDS   why, for the followers of the topic

A cancelled topic can be cancelled again. Exit status: 1 if the relay refuses,
because there is no such topic or it has ended otherwise.

${ACCESS_HELP}`;

/** The command that cancels a topic. */
export const cancelCommand: Command = {
  help: HELP,
  async run(args, system) {
    const { values, positionals } = parseFlags(args, {
      options: { reason: { type: "string" }, ...ACCESS_FLAGS },
      allowPositionals: true,
    });
    const topic = oneTopic(positionals);
    const relay = new RelayAccess(
      values,
      system,
      stopping(system),
    );
    const { reason } = values;
    const response = await relay.request(`topics/${topic}/cancel`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...(reason !== undefined && { reason }) }),
    });
    await response.body?.cancel();
    const status = new StatusLine(system);
    if (system.isTerminal) status.say(`Topic '${topic}' is cancelled`);
  },
};
