/**
 * Every door and every verb, knocked at with every kind of token (protocol,
 * section 5).
 *
 * @module
 */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import type { Topic } from "../../relay/topics/topic.ts";
import { type Door, doors, type Knock } from "../support/relay/doors.ts";
import { startRelay, type TestRelay } from "../support/relay/relay.ts";
import {
  JWT_KEY,
  mintToken,
  type TokenClaims,
} from "../support/rights/token.ts";

const KEY_OF_PROVIDER = "sk-of-the-provider-0123456789";

const AUDIENCE = "the-relay";
const ISSUER = "https://issuer.example";

/** In seconds since the epoch. */
const NOW = Date.now() / 1_000;

const GOOD = { aud: AUDIENCE, iss: ISSUER } as const;

/** A relay that asks for tokens, before a provider. */
interface World extends TestRelay {
  /** Returns the number of requests to the provider. */
  asked(): number;
}

async function startWorld(): Promise<World> {
  let asked = 0;
  const provider = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    ({ headers }) => {
      asked++;
      assertEquals(headers.get("authorization"), `Bearer ${KEY_OF_PROVIDER}`);
      assertEquals(headers.get("rivulet-topic"), null);
      return Response.json({});
    },
  );
  const relay = await startRelay({
    rights: { jwtKey: JWT_KEY, jwtAudience: AUDIENCE, jwtIssuer: ISSUER },
    gateway: {
      providers: [{
        name: "plain",
        url: `http://127.0.0.1:${provider.addr.port}/v1`,
        key: KEY_OF_PROVIDER,
      }],
    },
  });
  return {
    ...relay,
    asked: () => asked,
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await provider.shutdown();
    },
  };
}

let topics = 0;

/** Makes a topic of its own for each knock. */
function createTopic({ relay }: World): Topic {
  const topic = relay.topics.create(`mine-${++topics}`);
  topic.append([{ event: "message", data: "secret", id: "" }]);
  return topic;
}

function knockAt(
  world: World,
  { name, log }: Topic,
  token: string | undefined,
): Knock {
  return {
    url: world.url,
    topic: name,
    position: `${log.epoch}:1`,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  };
}

/** Says what is there, and what has become of it. */
function stateOf({ log, state }: Topic) {
  return { next: log.next, state: state.kind };
}

/** All that a token may be, but for the one right that is wanted. */
const RIGHTS = {
  read: { read: ["mine-*"] },
  write: { write: ["mine-*"] },
  cancel: { cancel: ["mine-*"] },
} as const satisfies Record<string, TokenClaims>;

const ALL: TokenClaims = {
  ...GOOD,
  ...RIGHTS.read,
  ...RIGHTS.write,
  ...RIGHTS.cancel,
};

function without(right: keyof typeof RIGHTS): TokenClaims {
  return { ...ALL, [right]: [] };
}

/** Tokens that are good for nothing. */
const BAD: Readonly<Record<string, () => string | Promise<string>>> = {
  "no token at all": () => "not a token",
  "the signature": async () => {
    const token = await mintToken(ALL);
    const last = token.at(-2) === "A" ? "B" : "A";
    return `${token.slice(0, -2)}${last}${token.at(-1)}`;
  },
  "the claims, after it was signed": async () => {
    const [head, , signature] = (await mintToken(ALL)).split(".");
    const [, claims] = (await mintToken({ ...ALL, admin: true })).split(".");
    return `${head}.${claims}.${signature}`;
  },
  "the algorithm none": async () => {
    const [, claims] = (await mintToken(ALL)).split(".");
    return `${btoa('{"alg":"none"}').replaceAll("=", "")}.${claims}.`;
  },
  "another algorithm": () => mintToken(ALL, { alg: "HS512" }),
  "another key": () => mintToken(ALL, { key: "x".repeat(43) }),
  "expired": () => mintToken({ ...ALL, exp: NOW - 60 }),
  "no expiry": () => mintToken({ ...ALL, exp: null }),
  "not valid yet": () => mintToken({ ...ALL, nbf: NOW + 120 }),
  "another audience": () => mintToken({ ...ALL, aud: "another" }),
  "no audience": async () => {
    const { aud: _, ...claims } = ALL;
    return await mintToken(claims);
  },
  "another issuer": () => mintToken({ ...ALL, iss: "https://evil.example" }),
  "rights that are none": () =>
    mintToken({ ...ALL, rivulet: { read: "mine-*" } }),
};

const topicDoors = doors.filter(({ needs }) =>
  needs !== "nothing" && needs !== "token"
);

/** Returns the part of an outcome that a door can show: `HEAD` has no body. */
function told(door: Door, outcome: string): string {
  return door.name === "HEAD" ? outcome.split(" ")[0]! : outcome; // one part at least
}

Deno.test("Without a token no door opens but for those that are everybody's", async (t) => {
  await using world = await startWorld();
  for (const door of doors) {
    await t.step(door.name, async () => {
      const topic = createTopic(world);
      const before = stateOf(topic);
      const came = await door.knock(knockAt(world, topic, undefined));
      assertEquals(
        came,
        door.needs === "nothing"
          ? door.allowed
          : told(door, "401 token_required"),
      );
      assertEquals(stateOf(topic), before);
    });
  }
  assertEquals(world.asked(), 0);
});

for (const [what, make] of Object.entries(BAD)) {
  Deno.test(`A token with ${what} opens no door`, async () => {
    await using world = await startWorld();
    const token = await make();
    for (const door of doors) {
      const topic = createTopic(world);
      const before = stateOf(topic);
      const came = await door.knock(knockAt(world, topic, token));
      const wanted = door.needs === "nothing"
        ? door.allowed
        : told(door, "401 invalid_token");
      assertEquals(came, wanted, door.name);
      assertEquals(stateOf(topic), before, door.name);
    }
    assertEquals(world.asked(), 0);
  });
}

Deno.test("A token for another topic opens no door of this one", async (t) => {
  await using world = await startWorld();
  const patterns = ["other-*", "mine", "*-mine", "min", "mine-*-x", "MINE-*"];
  const token = await mintToken({
    ...GOOD,
    read: patterns,
    write: patterns,
    cancel: patterns,
  });
  for (const door of topicDoors) {
    await t.step(door.name, async () => {
      const topic = createTopic(world);
      const before = stateOf(topic);
      const came = await door.knock(knockAt(world, topic, token));
      assertMatch(came, /^(403 forbidden|403|frame error forbidden)$/);
      assertEquals(stateOf(topic), before);
    });
  }
  assertEquals(world.asked(), 0);
});

Deno.test("A token with every right but the one that is wanted opens no door", async (t) => {
  await using world = await startWorld();
  for (const door of topicDoors) {
    await t.step(door.name, async () => {
      const topic = createTopic(world);
      const before = stateOf(topic);
      const { needs } = door;
      const token = await mintToken(
        needs in RIGHTS ? without(needs as keyof typeof RIGHTS) : ALL, // it is in it
      );
      const came = await door.knock(knockAt(world, topic, token));
      assertMatch(came, /^(403 forbidden|403|frame error forbidden)$/);
      assertEquals(stateOf(topic), before);
    });
  }
  assertEquals(world.asked(), 0);
});

Deno.test("The right token opens each door, and no more than that", async (t) => {
  await using world = await startWorld();
  for (const door of doors) {
    await t.step(door.name, async () => {
      const topic = createTopic(world);
      const { needs } = door;
      const token = await mintToken(
        needs === "admin" ? { ...GOOD, admin: true } : {
          ...GOOD,
          ...(needs in RIGHTS && RIGHTS[needs as "read"]), // it is in it
          ...(door.provider && { provider: door.provider }),
        },
      );
      assertEquals(
        await door.knock(knockAt(world, topic, token)),
        door.allowed,
      );
    });
  }
  assertNotEquals(world.asked(), 0);
});

Deno.test("An administrator's token opens every door", async (t) => {
  await using world = await startWorld();
  const token = await mintToken({ ...GOOD, admin: true });
  for (const door of doors) {
    await t.step(door.name, async () => {
      const topic = createTopic(world);
      assertEquals(
        await door.knock(knockAt(world, topic, token)),
        door.allowed,
      );
    });
  }
});
