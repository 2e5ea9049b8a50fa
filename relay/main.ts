/**
 * The command line of Rivulet. This module is for `deno run`; import `./relay` to
 * embed a relay.
 *
 * - `serve` runs the relay. It is the default command.
 * - `demo` runs the relay with a topic to look at.
 * - `follow`, `publish`, `cancel`, `topics` and `top` talk to a running relay, on
 *   this machine or another.
 * - `token` prints a token for a relay that requires tokens.
 * - `replay` prints a recorded stream at its pace.
 * - `backup` copies the file of a store while its relay runs.
 * - `hostile` runs a provider of language models that fails as planned.
 *
 * `help` prints an overview, `help COMMAND` the flags of a command and the
 * permissions that it needs instead of `-A`, and `help all` every option of the
 * relay. Each option is a flag, an environment variable (`RIVULET_MAX_TOPICS`) and
 * a key of a JSON file (`--config`).
 *
 * The relay listens on 127.0.0.1:8787. On SIGINT or SIGTERM it sends its
 * subscribers away and exits with 0. It exits with 2 if it cannot start with these
 * options, and with 3 if a later attempt may succeed: its port or the file of its
 * store is in use, or a source (`--fail-fast`) cannot be reached. The status of
 * `follow` says how the topic ended.
 *
 * @example Follow a stream that the relay reads
 * ```sh
 * deno run -A jsr:@rivulet/rivulet/cli \
 *   --source news=https://example.com/events
 * curl -N http://localhost:8787/topics/news  # in another terminal
 * ```
 *
 * @example Watch a demonstration
 * ```sh
 * deno run -A jsr:@rivulet/rivulet/cli demo
 * curl -N http://localhost:8787/topics/demo  # in another terminal
 * ```
 *
 * @module
 */
import process from "node:process";
import { runCommandLine } from "./commands/command_line.ts";
import { createSystem } from "./commands/system.ts";

if (import.meta.main) {
  process.exit(await runCommandLine(process.argv.slice(2), createSystem()));
}
