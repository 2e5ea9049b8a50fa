// The relay's answers to wrong inputs, word for word: each message says what
// was expected, what came and what to do, and repeats no secret.
//
// Where the answers have to change: run this test with RIVULET_UPDATE=1, and read them.
import { assert, assertEquals } from "@std/assert";
import { runCommandLine } from "../../relay/commands/command_line.ts";
import type { RelayOptions } from "../../relay/options/relay_options.ts";
import { FakeSystem } from "../support/relay/fake_system.ts";
import { startRelay } from "../support/relay/relay.ts";
import { JWT_KEY } from "../support/rights/token.ts";
import { OPCODE, RawWebSocket } from "../support/subscribers/raw_websocket.ts";
import {
  COMMANDS,
  FILES,
  HEADERS,
  MESSAGES,
  REQUESTS,
  RUNS,
  SECRET,
  TOKENS,
  type WrongCommand,
  type WrongRequest,
} from "../support/wrong_inputs/inputs.ts";

const SNAPSHOT = new URL("./wrong_inputs.txt", import.meta.url);

/** Frames that are no message. */
const FRAMES: readonly (readonly [string, number, string | Uint8Array])[] = [
  ["WebSocket binary frame", OPCODE.binary, '{"type":"heartbeat"}'],
  ["WebSocket frame that is not UTF-8", OPCODE.text, Uint8Array.of(0xFF)],
  ["WebSocket frame of an unknown opcode", 3, "{}"],
  ["WebSocket continuation of nothing", OPCODE.continuation, "{}"],
  ["WebSocket message of 64 KiB and a byte", OPCODE.text, "x".repeat(65_537)],
  ["WebSocket ping of 126 bytes", OPCODE.ping, "x".repeat(126)],
];

/** The surroundings of a real command line: with real files. */
class SystemWithFiles extends FakeSystem {
  override readBytes(path: string): Promise<Uint8Array> {
    return Deno.readFile(path);
  }

  override readText(path: string): Promise<string> {
    return Deno.readTextFile(path);
  }
}

async function answerToCommand(
  { args, env = {} }: WrongCommand,
  folder: string,
): Promise<string> {
  const system = new SystemWithFiles({
    // The log has the same, with the time.
    environment: { ...env, RIVULET_LOG_LEVEL: "error" },
  });
  const code = await runCommandLine(
    args.map((arg) => arg.replace("CONFIG", folder)),
    system,
  );
  assertEquals([code, system.output], [2, ""], system.errors);
  return system.errors.replaceAll(folder, "CONFIG").trimEnd();
}

async function answersToRequests(
  requests: readonly WrongRequest[],
  options: RelayOptions = {},
): Promise<string[]> {
  await using relay = await startRelay(options);
  relay.relay.topics.create("ended").end("complete");
  const lines: string[] = [];
  for (const { target, ...init } of requests) {
    const response = await relay.request(target, init);
    assertEquals(
      response.headers.get("content-type"),
      "application/problem+json",
      target,
    );
    const { status, code, detail } = await response.json();
    lines.push(`${describe(target, init)}\n    ${status} ${code}: ${detail}`);
  }
  return lines;
}

function describe(
  target: string,
  { method = "GET", headers = {}, body = "" }: Omit<WrongRequest, "target">,
): string {
  const fields = Object.entries(headers)
    .map(([name, value]) => ` ${name}: ${shortened(value)}`);
  return `${method} ${shortened(target)}${fields.join("")} ${body}`.trimEnd()
    .replaceAll(SECRET, "SECRET");
}

function shortened(text: string): string {
  return text.length > 100 ? `${text.slice(0, 20)}...` : text;
}

async function answerToMessage(
  message: string | Uint8Array,
  opcode: number = OPCODE.text,
): Promise<string> {
  await using relay = await startRelay();
  relay.relay.topics.create("ended").end("complete");
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.send(opcode, message);
  for (;;) {
    const frame = await socket.frame();
    assert(frame);
    const text = new TextDecoder().decode(
      frame.opcode === 0x8 ? frame.payload.subarray(2) : frame.payload,
    );
    if (frame.opcode === 0x8) {
      const code = frame.payload[0]! * 256 + frame.payload[1]!;
      return `closed ${code}: ${text}`;
    }
    const { type, code, message } = JSON.parse(text);
    if (type === "error") return `${code}: ${message}`;
  }
}

Deno.test("Every wrong input is answered with what was expected, and without a secret", async () => {
  const folder = await Deno.makeTempDir();
  const parts: string[] = [];
  try {
    for (const [name, text] of Object.entries(FILES)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    for (const command of COMMANDS) {
      const { args, env = {} } = command;
      const variables = Object.entries(env)
        .map(([name, value]) => `${name}='${value}' `).join("");
      const line = `${variables}rivulet ${args.join(" ")}`.trimEnd()
        .replaceAll(SECRET, "SECRET");
      const answer = await answerToCommand(command, folder);
      parts.push(`${line}\n    ${answer.replaceAll("\n", "\n    ")}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  parts.push(...await answersToRequests([...REQUESTS, ...HEADERS]));
  parts.push(
    ...await answersToRequests(RUNS, {
      gateway: { providers: [{ name: "p", url: "http://127.0.0.1:9/v1" }] },
    }),
  );
  parts.push(
    ...await answersToRequests(TOKENS, { rights: { jwtKey: JWT_KEY } }),
  );
  for (const message of MESSAGES) {
    parts.push(
      `WebSocket ${
        message.replaceAll(SECRET, "SECRET")
      }\n    ${await answerToMessage(
        message,
      )}`,
    );
  }
  for (const [what, opcode, payload] of FRAMES) {
    parts.push(`${what}\n    ${await answerToMessage(payload, opcode)}`);
  }
  const answers = `${parts.join("\n\n")}\n`;
  assert(!answers.includes(SECRET), "a secret is repeated");
  assert(parts.length >= 100, `${parts.length}`);
  if (Deno.env.get("RIVULET_UPDATE") === "1") {
    await Deno.writeTextFile(SNAPSHOT, answers);
  }
  assertEquals(answers, await Deno.readTextFile(SNAPSHOT));
});
