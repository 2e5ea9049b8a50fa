/**
 * Clients give their users the same output with the relay in between and
 * without it, whatever the provider does.
 */
import { assert, assertEquals } from "@std/assert";
import type { HostileRequest } from "../../../src/testing/mod.ts";
import { comparable } from "../../support/gateway/comparable.ts";
import {
  type HostileServer,
  startHostileServer,
} from "../../../relay/commands/hostile_server.ts";
import {
  MODEL_CALLS,
  type ModelCall,
} from "../../support/gateway/model_clients.ts";
import { startRelay } from "../../support/relay/relay.ts";

/** The provider's behaviour, and the outcome expected. */
interface Row {
  /** In words. */
  readonly name: string;
  /** The plans for the first requests; all others are answered well. */
  readonly plans: readonly string[];
  /** The clients to ask. Default: everybody. */
  readonly only?: "streams" | "whole";
  /**
   * The reason why it cannot be the same: the relay mends the fault, as if the
   * provider had answered well.
   */
  readonly mended?: { readonly why: string };
  /**
   * The reason why a stream should not be the same: the relay shows the fault,
   * as if the provider had done this.
   */
  readonly shown?: { readonly why: string; readonly plans: readonly string[] };
}

const CUT =
  "clients take the clean end of half an answer for success, and a cut for an error (H5)";

const ROWS: readonly Row[] = [
  { name: "all is well", plans: [] },
  {
    name: "every byte comes by itself, with CRLF and comments",
    plans: ["chunk=1; lines=crlf; comments=2; deltas=2", "chunk=16"],
    only: "streams",
  },
  {
    name: "chunks are cut anywhere, with CR, pings and a byte order mark",
    plans: ["chunk=7,1,50; lines=cr; pings=2; bom", "chunk=9"],
    only: "streams",
  },
  { name: "all comes at once", plans: ["chunk=whole", "chunk=whole"] },
  {
    name: "429 with Retry-After, then well",
    plans: ["status=429; retry-after=0.01"],
  },
  {
    name: "429 with Retry-After-Ms and 500, then well",
    plans: ["status=429; retry-after-ms=1", "status=500; retry-after-ms=1"],
  },
  {
    name: "500 for as long as clients ask",
    plans: Array(3).fill("status=500; retry-after-ms=1"),
  },
  { name: "status 400", plans: ["status=400"] },
  { name: "status 401", plans: ["status=401"] },
  { name: "status 404 to the second request", plans: ["", "status=404"] },
  { name: "an error as JSON with status 200", plans: ["json"] },
  { name: "a page with status 200", plans: ["html"] },
  {
    name: "the connection is reset before the head, then well",
    plans: ["reset"],
  },
  {
    name: "the format's error in the middle",
    plans: ["error; after=4"],
    only: "streams",
  },
  {
    name: "the format's error at once",
    plans: ["error"],
    only: "streams",
  },
  {
    name: "it ends after an event",
    plans: ["truncate; after=4"],
    shown: { why: CUT, plans: ["cut; after=4"] },
  },
  {
    name: "it ends within an event",
    plans: ["truncate; within=4"],
    shown: { why: CUT, plans: ["cut; within=4"] },
  },
  {
    name: "it ends within a body that is no stream",
    plans: ["truncate; within=1"],
    only: "whole",
  },
  {
    name: "it is reset within a body that is no stream",
    plans: ["reset; within=1"],
    only: "whole",
  },
  { name: "it is reset after an event", plans: ["reset; after=4"] },
  { name: "it is reset within an event", plans: ["reset; within=4"] },
  { name: "it is cut after an event", plans: ["cut; after=4"] },
  {
    name: "the second answer is reset in its middle",
    plans: ["", "reset; within=6"],
  },
  { name: "an event comes twice", plans: ["duplicate=4"], only: "streams" },
  { name: "an event is missing", plans: ["missing=4"], only: "streams" },
  {
    name: "events change places",
    plans: ["reordered=5"],
    only: "streams",
  },
  {
    // The provider may have begun, and is not asked twice (D2).
    name: "it is cut after the head, then well",
    plans: ["cut; at=head"],
    only: "streams",
  },
  {
    name: "it is reset within the first event, then well",
    plans: ["reset; within=1"],
    only: "streams",
  },
  {
    name: "a stream of nothing, then well",
    plans: ["empty"],
    only: "streams",
    shown: { why: CUT, plans: ["cut; at=head"] },
  },
  {
    name: "it is reset after its last word",
    plans: ["reset; at=end"],
    only: "streams",
    mended: { why: "nothing was missing: the last word counts" },
  },
];

interface Seen {
  readonly outcome: unknown;
  /** The requests that the provider received. */
  readonly requests: readonly unknown[];
}

/**
 * Headers that are said by who makes the connection, the client or the relay; and
 * how often the client has asked, where it may be the relay that asks again.
 */
const OF_THE_CONNECTION =
  /^(accept-encoding|connection|content-length|host|transfer-encoding|x-stainless-retry-count)$/;

function asked({ method, path, query, headers, body }: HostileRequest) {
  return {
    method,
    path,
    query: `${query}`,
    headers: [...headers].filter(([name]) => !OF_THE_CONNECTION.test(name)),
    body,
  };
}

/** Asks a provider, whose first requests get these plans, directly or through a relay. */
async function ask(
  call: ModelCall,
  plans: readonly string[],
  { provider, url }: HostileServer,
  through = url,
): Promise<Seen> {
  provider.enqueue(...plans);
  const outcome = comparable(await call.run({ url: through }), through);
  return { outcome, requests: provider.requests.map(asked) };
}

/** Asks a provider of its own. */
async function askDirectly(
  call: ModelCall,
  plans: readonly string[],
): Promise<Seen> {
  await using server = await startHostileServer();
  return await ask(call, plans, server);
}

/** Makes calls through one relay, which has a provider for each. */
async function askRelay(
  calls: readonly ModelCall[],
  plans: readonly string[],
): Promise<Seen[]> {
  await using stack = new AsyncDisposableStack();
  const servers = await Promise.all(
    calls.map(async () => stack.use(await startHostileServer())),
  );
  const relay = stack.use(
    await startRelay({
      gateway: {
        providers: servers.map(({ url }, index) => ({
          name: `provider-${index}`,
          url: `${url}/v1`,
        })),
      },
    }),
  );
  return await Promise.all(
    servers.map((server, index) =>
      ask(calls[index]!, plans, server, `${relay.url}/provider-${index}`) // one for each
    ),
  );
}

async function check(
  { plans, mended, shown }: Row,
  calls: readonly ModelCall[],
): Promise<void> {
  const [direct, relayed] = await Promise.all([
    Promise.all(calls.map((call) => {
      const like = call.streams && shown ? shown.plans : mended ? [] : plans;
      return askDirectly(call, like);
    })),
    askRelay(calls, plans),
  ]);
  for (const [index, call] of calls.entries()) {
    const [one, other] = [relayed[index], direct[index]];
    assertEquals(one?.outcome, other?.outcome, call.name);
    assertEquals(one?.requests, other?.requests, call.name);
    if (plans.length === 0) assertEquals(other?.requests.length, call.requests);
  }
}

for (const row of ROWS) {
  const { name, plans, only, mended, shown } = row;
  Deno.test(`Clients are told the same through the relay: ${name}`, async () => {
    const calls = MODEL_CALLS.filter(({ streams }) =>
      !only || streams === (only === "streams")
    );
    await check(row, calls);
    const other = shown ?? (mended && { why: mended.why, plans: [] });
    if (!other) return;
    // Else it would not have to be said why it is not the same.
    const direct = await Promise.all(
      calls.filter(({ streams }) => streams).map(async (call) => [
        await askDirectly(call, plans),
        await askDirectly(call, other.plans),
      ]),
    );
    assert(
      direct.some(([without, like]) =>
        JSON.stringify(without?.outcome) !== JSON.stringify(like?.outcome)
      ),
      `The relay changes nothing: ${other.why}?`,
    );
  });
}
