/**
 * Runs docs/cluster.compose.yml without Docker: each service in a network of its own
 * behind one bridge, by its name, with the command as it stands. A relay runs from the
 * image's folder, as its user, without capabilities and from a root that is read-only.
 *
 * It is run by tests/package/cluster_compose_test.ts.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { OWN_MOUNTS } from "../apart.ts";
import { mintToken } from "../rights/token.ts";
import { LIMIT, until, within } from "../within.ts";
import { servicesOf, valuesOf } from "./compose.ts";
import { Image, type Program } from "./image.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const KEY = "k".repeat(32);
/** Whether this process can become another user: not as root of its own alone. */
const isRoot = /\b4294967295\b/.test(
  await Deno.readTextFile("/proc/self/uid_map"),
);

/** A command that was started, and what it has said. */
class Service implements AsyncDisposable {
  readonly name: string;
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  said = "";

  constructor(name: string, command: Deno.Command) {
    this.name = name;
    this.#process = command.spawn();
    const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        this.said += text;
      }
    };
    this.#reading = Promise.all([
      read(this.#process.stdout),
      read(this.#process.stderr),
    ]);
  }

  /** Stops it with the signal of Docker; returns its status. */
  async stop(): Promise<number> {
    try {
      this.#process.kill("SIGTERM");
    } catch {
      // It has ended.
    }
    const { code } = await within(this.#process.status, LIMIT, this.name);
    await this.#reading;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function run(command: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-ec", command],
  }).output();
  if (!success) {
    throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
  }
}

/** Makes a network for a service, in which it has its own address. */
async function connect(index: number): Promise<Deno.ChildProcess> {
  const holder = new Deno.Command("unshare", {
    args: ["--net", "sleep", "infinity"],
  }).spawn();
  const own = await Deno.readLink("/proc/self/ns/net");
  await until(
    async () =>
      await Deno.readLink(`/proc/${holder.pid}/ns/net`) !== own || undefined,
    LIMIT,
    "a network",
  );
  await run(`ip link add v${index} type veth peer name w${index}
ip link set v${index} master br0 up
ip link set w${index} netns ${holder.pid}
nsenter --net=/proc/${holder.pid}/ns/net sh -ec "
ip link set lo up
ip address add ${addressOf(index)}/16 dev w${index}
ip link set w${index} up"`);
  return holder;
}

function addressOf(index: number): string {
  return `172.16.0.${10 + index}`;
}

/** Returns how a program of a service is started. */
function commandOf(
  holder: Deno.ChildProcess,
  { path, args, cwd, env }: Program,
  isRelay: boolean,
): Deno.Command {
  const { user } = image;
  const identity = isRoot && user !== undefined
    ? [`--reuid=${user}`, `--regid=${user}`, "--clear-groups"]
    : [];
  const confined = isRelay
    ? [
      ...["unshare", ...OWN_MOUNTS, "sh", "-ec"],
      'mount -o remount,bind,ro /; exec "$@"',
      ...["sh", "setpriv", "--no-new-privs", "--bounding-set=-all"],
      ...["--inh-caps=-all", ...identity],
    ]
    : [];
  const variables = Object.entries(env).map(([key, value]) =>
    `${key}=${value}`
  );
  return new Deno.Command("nsenter", {
    args: [
      ...[`--net=/proc/${holder.pid}/ns/net`, ...confined],
      ...["env", ...isRelay ? ["-i"] : [], ...variables, path, ...args],
    ],
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

const compose = await Deno.readTextFile(`${root}docs/cluster.compose.yml`);
const services = servicesOf(compose);
await using stack = new AsyncDisposableStack();
const image = stack.use(
  await Image.build(await Deno.readTextFile(`${root}Dockerfile`)),
);
const { folder } = image;
await Deno.mkdir(`${folder}/run/secrets`, { recursive: true });
await Deno.writeTextFile(`${folder}/run/secrets/jwt_key`, KEY);

const names = [...services.keys()];
await Deno.writeTextFile(
  `${folder}/hosts`,
  [
    "127.0.0.1 localhost",
    ...names.map((name, index) => `${addressOf(index)} ${name}`),
  ]
    .join("\n"),
);
await run(`mount --bind ${folder}/hosts /etc/hosts
ip link add br0 type bridge
ip address add 172.16.0.1/16 dev br0
ip link set br0 up`);

const [relayCommand = []] = valuesOf(compose, "command");
const holders = new Map<string, Deno.ChildProcess>();
const running = new Map<string, Service>();
for (const [index, [name, text]] of [...services].entries()) {
  const holder = stack.use(await connect(index));
  holders.set(name, holder);
  const [, command] = /^ +command: "(.*)"$/m.exec(text) ?? [];
  let program: Program;
  if (/^ \*relay$/m.test(text)) program = image.relay(relayCommand);
  else {
    const words = command?.split(" ") ?? [];
    const isNats = /<<: \*nats/.test(text);
    const [, volume = ""] = /^ +volumes: \["(.*)"\]$/m.exec(text) ?? [];
    const [from = "", to = ""] = volume.split(":");
    let place = `${folder}/${from}`;
    if (from.startsWith("./")) place = `${root}docs/${from.slice(2)}`;
    else await Deno.mkdir(place);
    // The image of NATS has its program as the entry point.
    const [path = "", ...args] = isNats ? ["nats-server", ...words] : words;
    program = {
      path,
      args: args.map((word) => word === to ? place : word),
      cwd: folder,
      env: { HOME: folder },
    };
  }
  const isRelay = name.startsWith("relay-");
  running.set(
    name,
    stack.use(new Service(name, commandOf(holder, program, isRelay))),
  );
}

async function ask(
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const token = await mintToken({ read: ["*"], write: ["*"] }, { key: KEY });
  return await fetch(
    `http://172.16.0.${10 + names.indexOf("proxy")}:8787${path}`,
    {
      ...init,
      headers: {
        ...init.headers as Record<string, string>,
        Authorization: `Bearer ${token}`,
      },
    },
  );
}
const everything = (): string =>
  [...running.values()].map(({ name, said }) => `${name}: ${said}`).join("\n");

const relays = names.filter((name) => name.startsWith("relay-"));
for (const name of relays) {
  const holder = holders.get(name)!; // each service has one
  await until(
    async () => {
      const { code } = await commandOf(holder, image.healthCheck, true)
        .output();
      return code === 0 || undefined;
    },
    LIMIT,
    () => `the health of ${name}: ${everything()}`,
  );
}
const published = await until(
  async () => {
    const response = await ask("/topics/t", { method: "POST", body: "a" });
    if (response.ok) return await response.json();
    await response.body?.cancel();
    return undefined;
  },
  LIMIT,
  () => `a publication: ${everything()}`,
);
assertEquals(published.next, 2);
const first = running.get(relays[0] ?? "");
assert(first);
assertEquals(await first.stop(), 0, first.said);
// The others have its topics, and the proxy finds them.
for (let count = 0; count < 6; count++) {
  const page = await ask("/topics/t?after=start", {
    headers: { Accept: "application/json" },
  });
  assertEquals(page.status, 200, everything());
  assertEquals((await page.json()).events, [{ data: "a" }]);
}
for (const name of relays.slice(1)) {
  const said = running.get(name)!;
  assertEquals(await said.stop(), 0, said.said);
}
console.log(`${names.length} services ran`);
