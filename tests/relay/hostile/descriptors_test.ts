// A6: more connections than the process has descriptors for.
import { existsSync } from "node:fs";
import { assert, assertEquals } from "@std/assert";
import { divideDescriptors } from "../../../relay/limits/descriptors.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { LIMIT, until } from "../../support/within.ts";

const CLIENTS = 300;
const DESCRIPTORS = 200;

async function connectAll(port: number): Promise<Deno.Conn[]> {
  const settled = await Promise.allSettled(
    Array.from({ length: CLIENTS }, () => Deno.connect({ port })),
  );
  return settled.flatMap((one) => one.status === "fulfilled" ? one.value : []);
}

async function isHealthy(url: string): Promise<true | undefined> {
  try {
    const response = await fetch(`${url}/healthz`, {
      headers: { Connection: "close" },
      signal: AbortSignal.timeout(1_000),
    });
    await response.body?.cancel();
    return response.ok || undefined;
  } catch {
    return undefined;
  }
}

Deno.test("A6: Relay takes no more connections than it has descriptors for", async () => {
  let log: Promise<string>;
  {
    await using relay = await RelayCommand.start({ descriptors: DESCRIPTORS });
    log = relay.stderr;
    const port = Number(new URL(relay.url).port);
    for (let round = 0; round < 3; round++) {
      const connections = await connectAll(port);
      // Each has been accepted, or it has been refused.
      await new Promise((resolve) => setTimeout(resolve, 500));
      for (const connection of connections) connection.close();
      assert(await until(() => isHealthy(relay.url), LIMIT, "an answer"));
    }
  }
  const text = await log;
  assert(text.includes("may have 200 file descriptors"), text);
  assert(!text.includes("listens again"), text);
});

Deno.test("A6: Relay listens again when it accepts nothing any more", async () => {
  await using folder = new TemporaryFolder();
  const sign = `${folder.path}/taken`;
  let log: Promise<string>;
  {
    await using relay = await RelayCommand.start({
      descriptors: DESCRIPTORS,
      // The files that the process opens leave too few descriptors, until there is none
      // and for a while.
      preload: `Deno.addSignalListener("SIGUSR1", () => {
        Deno.writeTextFileSync(${JSON.stringify(sign)}, "");
        const files = Array.from({ length: 120 }, () => Deno.openSync("/dev/null"));
        const look = setInterval(() => {
          try {
            Deno.openSync("/dev/null").close();
          } catch {
            clearInterval(look);
            setTimeout(() => files.forEach((file) => file.close()), 2_000);
          }
        }, 10);
      });`,
    });
    log = relay.stderr;
    const port = Number(new URL(relay.url).port);
    relay.signal("SIGUSR1");
    await until(() => existsSync(sign) || undefined, LIMIT, "the signal");
    const connections = await connectAll(port);
    assert(await until(() => isHealthy(relay.url), LIMIT, "an answer"));
    for (const connection of connections) connection.close();
  }
  const text = await log;
  assert(text.includes("it listens again"), text);
});

Deno.test("A6: divideDescriptors keeps some back for anything but clients", () => {
  for (const descriptors of [10, 64, 200, 256, 1_024, 4_096, 20_000, 1e6]) {
    const { connections, lingering } = divideDescriptors(descriptors);
    const left = descriptors - connections - lingering;
    assert(connections >= 1, `${descriptors}`);
    assert(
      left >= Math.min(48, descriptors - 1) && left <= 2_048 + 1,
      `${descriptors}: ${left}`,
    );
  }
  // The defaults fit into what production.md asks for.
  assert(divideDescriptors(18_384).connections >= 16_384 - 512);
  assertEquals(divideDescriptors(undefined).connections, Infinity);
});
