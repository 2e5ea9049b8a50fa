// The relay runs with the smallest set of permissions that docs/production.md names: with
// these it complains of nothing, and with any of them less it does not work.
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { type Door, doors } from "../../support/relay/doors.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { runDeno } from "../../support/run_deno.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { LIMIT, until, within } from "../../support/within.ts";
import { freePort } from "../../support/http/free_port.ts";

/**
 * The variables that every relay reads: its settings, and the one that `ws`
 * asks for when it is loaded.
 */
const ENVIRONMENT = ["RIVULET_*", "WS_NO_BUFFER_UTIL"];

/** Permissions, by what is allowed; each is one that could be left out. */
type Permissions = Readonly<
  Partial<Record<"net" | "env" | "read" | "write", readonly string[]>>
>;

/** A way to run a relay. */
interface Form {
  readonly name: string;
  /** Besides the address. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Besides what every relay needs. */
  readonly permissions: Permissions;
  /** Does what only this form can. */
  use(url: string): Promise<void>;
}

/** An event stream and a provider on another host. */
function upstream(): Deno.HttpServer<Deno.NetAddr> {
  const chunk = (delta: object, reason: string | null): string =>
    `data: ${
      JSON.stringify({
        id: "c",
        object: "chat.completion.chunk",
        choices: [{ index: 0, delta, finish_reason: reason }],
      })
    }\n\n`;
  const chat = chunk({ content: "hi" }, null) + chunk({}, "stop") +
    "data: [DONE]\n\n";
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      const { pathname } = new URL(request.url);
      return new Response(pathname === "/events" ? "data: hi\n\n" : chat, {
        headers: { "Content-Type": "text/event-stream" },
      });
    },
  );
}

async function assertAnswer(
  request: Promise<Response>,
  status: number,
): Promise<string> {
  const response = await within(request, LIMIT, "an answer");
  const text = await response.text();
  assertEquals(response.status, status, text);
  return text;
}

/** Knocks at a door, for a topic of its own. */
async function knock(
  door: Door,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const topic = `t-${crypto.randomUUID()}`;
  const made = await assertAnswer(
    fetch(`${url}/topics/${topic}`, { method: "POST", headers, body: "hi" }),
    200,
  );
  const position = `${JSON.parse(made).epoch}:1`;
  assertEquals(
    await door.knock({ url, topic, position, headers }),
    door.allowed,
    door.name,
  );
}

/** All doors but those to providers, which a relay has only if it is told of one. */
const OWN_DOORS = doors.filter(({ name }) => !/run|proxied/.test(name));

/** Waits until a topic has an event: its upstream answers the first request. */
async function followed(url: string, name: string): Promise<void> {
  await until(
    async () => {
      const response = await fetch(`${url}/topics`);
      const { topics } = await response.json();
      const topic = topics.find((topic: { name: string }) =>
        topic.name === name
      );
      const { next, end, upstream } = topic;
      assert(!end || end.status === "complete", JSON.stringify(end));
      // It may not be asked: waiting on would take all of the limit.
      assert(upstream?.state !== "retrying", JSON.stringify(upstream));
      return next > 1 || undefined;
    },
    LIMIT,
    `an event of ${name}`,
  );
}

async function authorization(): Promise<{ Authorization: string }> {
  return { Authorization: `Bearer ${await mintToken({ admin: true })}` };
}

/** With a token, and not without. */
async function useWithToken(url: string): Promise<void> {
  await assertAnswer(fetch(`${url}/topics`), 401);
  const headers = await authorization();
  await assertAnswer(fetch(`${url}/topics`, { headers }), 200);
}

function formsWith(folder: string, address: string): readonly Form[] {
  return [
    {
      name: "that is filled by requests",
      args: [],
      permissions: {},
      async use(url) {
        for (const door of OWN_DOORS) await knock(door, url);
      },
    },
    {
      name: "that plays a fixture",
      args: ["--fixture", "demo=fixtures/demo.sse"],
      permissions: { read: ["fixtures/demo.sse"] },
      use: (url) => followed(url, "demo"),
    },
    {
      name: "in front of a stream",
      args: ["--source", `news=http://${address}/events,once`],
      permissions: { net: [address] },
      use: (url) => followed(url, "news"),
    },
    {
      name: "in front of a provider, which records",
      args: ["--provider", `local=http://${address}/v1`, "--record", folder],
      env: { LOCAL_API_KEY: "sk-of-the-provider" },
      permissions: {
        net: [address],
        env: ["LOCAL_API_KEY"],
        read: [folder],
        write: [folder],
      },
      async use(url) {
        const answer = await assertAnswer(
          fetch(`${url}/v1/chat/completions`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify({ model: "m", messages: [], stream: true }),
          }),
          200,
        );
        assertMatch(answer, /\[DONE\]/);
      },
    },
    {
      name: "with a store",
      args: ["--store", `sqlite:${folder}/store.db`],
      permissions: { read: [folder], write: [folder] },
      async use(url) {
        for (const door of OWN_DOORS) await knock(door, url);
      },
    },
    {
      name: "whose topics are made by PUT",
      args: [
        ...["--allow-source", `http://${address}/*`],
        ...["--allow-address", "127.0.0.1"],
      ],
      permissions: { net: [address] },
      async use(url) {
        await assertAnswer(
          fetch(`${url}/topics/made`, {
            method: "PUT",
            body: JSON.stringify({
              source: { url: `http://${address}/events`, reconnect: false },
            }),
          }),
          201,
        );
        await followed(url, "made");
      },
    },
    {
      name: "with a configuration file",
      args: ["--config", `${folder}/relay.json`],
      permissions: { read: [`${folder}/relay.json`] },
      use: useWithToken,
    },
    {
      name: "with a key in a file",
      args: ["--jwt-key-file", `${folder}/key`],
      permissions: { read: [`${folder}/key`] },
      use: useWithToken,
    },
    {
      name: "with a key in the environment",
      args: [],
      env: { RIVULET_JWT_KEY: JWT_KEY },
      permissions: {},
      async use(url) {
        const headers = await authorization();
        for (const door of OWN_DOORS) await knock(door, url, headers);
      },
    },
  ];
}

/** Writes permissions as flags. */
function flagsOf(permissions: Permissions): readonly string[] {
  return Object.entries(permissions)
    .filter(([, allowed]) => allowed.length > 0)
    .map(([name, allowed]) => `--allow-${name}=${allowed.join(",")}`);
}

function withAll(...all: readonly Permissions[]): Permissions {
  const of = (name: keyof Permissions): readonly string[] =>
    all.flatMap((permissions) => permissions[name] ?? []);
  return {
    net: of("net"),
    env: of("env"),
    read: of("read"),
    write: of("write"),
  };
}

/** Every set with one less. */
function withOneLess(permissions: Permissions): readonly Permissions[] {
  return Object.entries(permissions).flatMap(([name, allowed]) =>
    allowed.map((_, index) => ({
      ...permissions,
      [name]: allowed.toSpliced(index, 1),
    }))
  );
}

/** Starts a relay, uses it, stops it, and returns what it has to complain of. */
async function complaints(
  { args, env = {}, use }: Form,
  port: number,
  permissions: Permissions,
): Promise<string> {
  const relay = await RelayCommand.start({
    args: ["--port", String(port), "--log-format", "json", ...args],
    env,
    permissions: flagsOf(permissions),
  });
  try {
    await use(relay.url);
  } finally {
    await relay[Symbol.asyncDispose]();
  }
  const stderr = await relay.stderr;
  return stderr.split("\n")
    .filter((line) => /NotCapable|Requires |allow-|EPERM|EACCES/.test(line))
    .join("\n");
}

/** The permissions that every form needs, and of which none can be left out. */
function basic(port: number): Permissions {
  return { net: [`127.0.0.1:${port}`], env: ENVIRONMENT };
}

async function inFolder(
  test: (folder: string, address: string) => Promise<void>,
): Promise<void> {
  await using server = upstream();
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/key`, `${JWT_KEY}\n`);
    await Deno.writeTextFile(
      `${folder}/relay.json`,
      JSON.stringify({ jwtKey: JWT_KEY }),
    );
    await test(folder, `127.0.0.1:${server.addr.port}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("A relay needs no more than the permissions of its form", async (t) => {
  await inFolder(async (folder, address) => {
    for (const form of formsWith(folder, address)) {
      await t.step(`A relay ${form.name}`, async () => {
        const port = freePort();
        const all = withAll(basic(port), form.permissions);
        assertEquals(await complaints(form, port, all), "");
      });
    }
  });
});

Deno.test("A relay needs all of the permissions of its form", async (t) => {
  await inFolder(async (folder, address) => {
    const [plain, ...others] = formsWith(folder, address);
    assert(plain);
    const refuse = async (form: Form, port: number, less: Permissions) => {
      let complaint: string;
      try {
        complaint = await complaints(form, port, less);
      } catch (error) {
        complaint = String(error);
      }
      assert(complaint !== "", flagsOf(less).join(" "));
    };
    const port = freePort();
    for (const less of withOneLess(basic(port))) {
      await t.step(
        `A relay with no more than ${flagsOf(less).join(" ")}`,
        () => refuse(plain, port, less),
      );
    }
    for (const form of others) {
      for (const less of withOneLess(form.permissions)) {
        await t.step(`A relay ${form.name}, ${flagsOf(less).join(" ")}`, () => {
          const port = freePort();
          return refuse(form, port, withAll(basic(port), less));
        });
      }
    }
  });
});

Deno.test("A relay says which permission its store lacks, and exits with status 2", async (t) => {
  await inFolder(async (folder) => {
    const port = freePort();
    const store = { read: [folder], write: [folder] };
    for (const less of withOneLess(store)) {
      await t.step(flagsOf(less).join(" "), async () => {
        const { code, stderr } = await runDeno([
          "run",
          "--no-prompt",
          ...flagsOf(withAll(basic(port), less)),
          "relay/main.ts",
          ...["--port", String(port), "--store", `sqlite:${folder}/store.db`],
        ], { RIVULET_LOG_LEVEL: "error" });
        assertEquals(code, 2, stderr);
        assertStringIncludes(
          stderr,
          `start it with --allow-read=${folder} --allow-write=${folder}`,
        );
      });
    }
  });
});

Deno.test("docs/production.md names the permissions that every relay needs", async () => {
  const page = await Deno.readTextFile(
    new URL("../../../docs/production.md", import.meta.url),
  );
  const needed = `--allow-env='${ENVIRONMENT.join()}'`;
  assert(
    page.includes(
      `deno run --allow-net=127.0.0.1:8787 ${needed} jsr:@rivulet/rivulet/cli\n`,
    ),
    needed,
  );
});
