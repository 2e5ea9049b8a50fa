// Every secret of the definition, in every place where a provider's quote of it
// may show; and innocent values, which stay.
import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { LogCapture } from "../../support/observing/log_capture.ts";
import {
  groupsOf,
  innocentRequest,
  type QuotedRequest,
  requestWithSecrets,
} from "../../support/secrets/secret_cases.ts";

/** So few that the reason of an end, which is cut, has all of them. */
const GROUP = 25;

/** The texts about the runs of one request, by place. */
interface Said {
  readonly caller: string;
  readonly events: string;
  readonly reasons: string;
  /** The facts of the runs: `GET /topics/{topic}/info`. */
  readonly facts: string;
  readonly log: string;
  /** The recorded requests: path, headers and body. */
  readonly requests: string;
  /** The recorded answers. */
  readonly answers: string;
}

/** Has a provider quote each value of a request, in an answer and in its error. */
async function quote(request: QuotedRequest): Promise<Said> {
  await using log = await LogCapture.start();
  const folder = await Deno.makeTempDir();
  const { start, delta } = WIRE_FORMATS["Chat"]!;
  let caller = "";
  let events = "";
  let reasons = "";
  let facts = "";
  try {
    {
      await using world = await startGateway({
        clock: new FakeClock(),
        gateway: { record: folder },
      });
      for (const [i, group] of groupsOf(request.values, GROUP).entries()) {
        const topic = `run-${i}`;
        const { exchange, answer } = await world.begin({
          path: `chat/completions${request.query}`,
          headers: {
            "idempotency-key": topic,
            ...request.headers,
            "rivulet-topic": topic,
          },
          body: request.body,
        });
        const head = [exchange.target, ...exchange.headers.flat()].join("\n");
        for (const { part, name, value } of group) {
          if (part === "body") continue;
          assert(
            head.includes(value),
            `The provider was not told the ${part} ${name}`,
          );
        }
        const said = group.map(({ value }) => value).join(" ");
        const error = { error: { code: "quoted", message: said } };
        const usage = { input_tokens: 1, output_tokens: 1 };
        const told = { id: said, usage: { ...usage, service_tier: said } };
        await exchange.stream(
          `${start}${delta(said)}${dataOf({ ...told, choices: [] })}${
            dataOf(error)
          }`,
          {
            "x-quoted": encodeURIComponent(said),
            "x-request-id": encodeURIComponent(said),
          },
        );
        await exchange.end();
        caller += (await (await answer).rest()).text;
        const end = await world.ended(topic);
        assertEquals(end.status, "failed");
        reasons += `${end.reason}\n`;
        const info = await world.request(`/topics/${topic}/info`);
        facts += JSON.stringify((await info.json()).run);
        events += (await world.events(topic)).map(({ data }) => `${data}\n`)
          .join("");
      }
    }
    let requests = "";
    let answers = "";
    for await (const { name } of Deno.readDir(folder)) {
      const text = await Deno.readTextFile(`${folder}/${name}`);
      if (name.endsWith(".json")) {
        const { response, end, ...asked } = JSON.parse(text);
        requests += JSON.stringify(asked);
        answers += JSON.stringify({ response, end });
      } else answers += text;
    }
    return {
      ...{ caller, events, reasons, facts, requests, answers },
      log: log.text,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function dataOf(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** The forms that a value has in JSON and in a header of this test. */
function formsOf(value: string): string[] {
  return [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)];
}

Deno.test("No secret of a request shows anywhere but at its caller", async () => {
  const request = requestWithSecrets();
  const { caller, ...places } = await quote(request);
  for (const { part, name, value } of request.values) {
    const forms = formsOf(value);
    assert(
      forms.some((form) => caller.includes(form)),
      `The caller did not get the ${part} ${name}`,
    );
    for (const [place, text] of Object.entries(places)) {
      for (const form of forms) {
        assert(!text.includes(form), `The ${place} show the ${part} ${name}`);
      }
    }
  }
  for (const [place, text] of Object.entries(places)) {
    assert(text.includes("[redacted]"), `The ${place} has no mark: ${text}`);
  }
});

Deno.test("What is no secret stays wherever it is quoted", async () => {
  const request = innocentRequest();
  const { log, ...places } = await quote(request);
  assert(log.includes("quoted: "), log);
  for (const { part, name, value } of request.values) {
    for (const [place, text] of Object.entries(places)) {
      // Any value of a URL's query may be a key, and a reason is not an answer.
      if (part === "query" && place === "reasons") continue;
      // Ids are short.
      if (place === "facts") continue;
      assert(text.includes(value), `The ${place} lack the ${part} ${name}`);
    }
    if (part !== "query") {
      assert(log.includes(value), `The log lacks the ${part} ${name}`);
    }
  }
});
