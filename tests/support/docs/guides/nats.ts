/**
 * The NATS servers that docs/cluster.md expects, at the addresses that it names.
 *
 * @module
 */
import { untilListening } from "../../http/until_listening.ts";
import type { Reader } from "./reader.ts";

const HOSTS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

/** Starts three servers, in the network of this process, which has only loopback. */
export async function startNats(reader: Reader): Promise<AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  for (const host of HOSTS) {
    await reader.run(`ip address add ${host}/32 dev lo`);
  }
  for (const [index, host] of HOSTS.entries()) {
    const routes = HOSTS.filter((other) => other !== host)
      .map((other) => `nats://${other}:6222`);
    const process = new Deno.Command("nats-server", {
      args: [
        ...["-n", `nats-${index}`, "-a", host, "-js"],
        ...["-sd", `${reader.folder}/nats-${index}`, "--cluster_name", "c"],
        ...["--cluster", `nats://${host}:6222`, "--routes", routes.join()],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(process.stderr).text();
    stack.defer(async () => void (await stderr)); // after the end of the process
    stack.use(process);
    await untilListening(4222, process, stderr, "nats-server", host);
  }
  return stack;
}
