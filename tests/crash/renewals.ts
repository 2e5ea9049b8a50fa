/**
 * Chats whose topics are renewed turn by turn, under a relay that is killed at random
 * moments, and subscribers who stay for every turn.
 *
 * @module
 */
import { z } from "zod";
import { openSocket } from "../support/client/client_socket.ts";
import { freePort } from "../support/http/free_port.ts";
import { Random } from "../support/random.ts";
import { MortalRelay } from "../support/relay/mortal_relay.ts";
import { LIMIT, until, within } from "../support/within.ts";
import { codeOf, World } from "./world.ts";

/** The size of a run. */
export interface RenewalsOptions {
  readonly seed: number;
  readonly kills: number;
  readonly sync: "full" | "normal";
  readonly chats: number;
  /** Those who stay, of each chat. */
  readonly followers: number;
}

/** The result of a run. */
export interface RenewalsResult {
  readonly kills: number;
  /** The turns of all chats that were ended. */
  readonly turns: number;
  /** The turns that were read from the first event to the end, by all. */
  readonly read: number;
  /** The connections that went on after a position. */
  readonly resumed: number;
  /** The requests that were made again, as no answer came. */
  readonly repeated: number;
}

const published = z.object({
  epoch: z.string(),
  first: z.int(),
  next: z.int(),
});
const ended = z.object({
  epoch: z.string(),
  next: z.int(),
  end: z.object({ status: z.string(), reason: z.string() }),
});

const JSON_BODY = { "Content-Type": "application/json" };

/** The facts told of a turn. */
interface Turn {
  epoch: string | undefined;
  /** The events that were asked for. */
  asked: number;
  /** Whether somebody has asked for the end. */
  isEnding: boolean;
  hasEnded: boolean;
}

/** A chat, and whoever has it filled: each turn is an epoch of one topic. */
class Chat {
  readonly name: string;
  readonly turns: Turn[] = [];
  repeated = 0;
  readonly #world: World;
  readonly #random: Random;

  constructor(name: string, world: World, random: Random) {
    this.name = name;
    this.#world = world;
    this.#random = random;
  }

  /** The number of turns that were acknowledged to have ended. */
  get ended(): number {
    return this.turns.filter(({ hasEnded }) => hasEnded).length;
  }

  async run(): Promise<void> {
    for (;;) {
      const turn: Turn = {
        epoch: undefined,
        asked: 0,
        isEnding: false,
        hasEnded: false,
      };
      this.turns.push(turn);
      const publications = this.#random.integer(1, 4);
      for (let index = 0; index < publications; index++) {
        await this.#publish(turn, index);
        await this.#world.pause(this.#random.pick([0, 20, 100]));
      }
      turn.isEnding = true;
      const end = { status: "complete", reason: `turn ${this.turns.length}` };
      const answer = await this.#ask(`/topics/${this.name}/end`, {
        body: JSON.stringify(end),
      });
      const said = ended.parse(JSON.parse(answer));
      this.told(this.turns.length, said.epoch, "the answer to its end");
      if (
        said.next !== turn.asked + 1 || said.end.status !== end.status ||
        said.end.reason !== end.reason
      ) this.fail(`turn ${this.turns.length} has ended as ${answer}`);
      turn.hasEnded = true;
      await this.#world.pause(this.#random.pick([0, 50, 200]));
    }
  }

  /** Somebody was told the epoch of a turn. */
  told(number: number, epoch: string, who: string): void {
    const turn = this.turns[number - 1];
    if (!turn) return this.fail(`${who} was told of turn ${number}`);
    turn.epoch ??= epoch;
    if (turn.epoch !== epoch) {
      this.fail(`${who}: turn ${number} has ${epoch}, and had ${turn.epoch}`);
    }
  }

  /** Returns the data of an event. */
  dataOf(turn: number, offset: number): string {
    return `${this.name}:${turn}:${offset}`;
  }

  fail(what: string): never {
    throw new Error(`${this.name}: ${what}`);
  }

  async #publish(turn: Turn, index: number): Promise<void> {
    const number = this.turns.length;
    const first = turn.asked + 1;
    const count = this.#random.integer(1, 3);
    turn.asked += count;
    const events = Array.from(
      { length: count },
      (_, at) => ({ data: this.dataOf(number, first + at) }),
    );
    const answer = await this.#ask(`/topics/${this.name}`, {
      headers: {
        ...JSON_BODY,
        "Idempotency-Key": `${number}-${index}`,
        ...(index === 0 && { "Rivulet-If-Ended": "renew" }),
      },
      body: JSON.stringify(events),
    });
    const at = published.parse(JSON.parse(answer));
    this.told(number, at.epoch, "its publisher");
    if (at.first !== first || at.next !== first + count) {
      this.fail(`${count} events after ${first - 1} came to ${answer}`);
    }
  }

  /** Asks until there is an answer. */
  async #ask(path: string, init: RequestInit): Promise<string> {
    for (let attempt = 1;; attempt++) {
      if (attempt > 1) this.repeated++;
      const answer = await this.#world.ask(path, {
        method: "POST",
        headers: JSON_BODY,
        ...init,
      });
      if (!answer) continue;
      if (answer.status === 200) return answer.text;
      // The request of which no answer came is still being answered.
      if (answer.status !== 409 || codeOf(answer) !== "key_in_use") {
        this.fail(`${path}: ${answer.status} ${answer.text}`);
      }
      await this.#world.pause(50);
    }
  }
}

/** A subscriber who stays for every turn. */
class Stayer {
  resumed = 0;
  readonly chat: Chat;
  readonly #who: string;
  readonly #world: World;
  /** The turn that is read, from 1 on. */
  #turn = 0;
  #epoch = "";
  #seen = 0;
  #position = "start";
  #isAtEnd = true;

  constructor(who: string, chat: Chat, world: World) {
    this.#who = who;
    this.chat = chat;
    this.#world = world;
  }

  /** The number of turns that it has read to their end. */
  get read(): number {
    return this.#isAtEnd ? this.#turn : this.#turn - 1;
  }

  async run(): Promise<void> {
    const world = this.#world;
    for (;;) {
      await world.back();
      const { ends } = world;
      if (this.#turn > 0) this.resumed++;
      const closed = Promise.withResolvers<void>();
      let failure: unknown;
      const socket = openSocket(
        "ws",
        `${
          world.url.replace("http", "ws")
        }/topics/${this.chat.name}?stay&after=${this.#position}`,
        {
          onText: (text) => {
            try {
              if (failure === undefined) this.#take(text);
            } catch (error) {
              failure ??= error;
              socket.destroy();
            }
          },
          onOpen: () => {},
          onClose: () => closed.resolve(),
        },
      );
      const leave = () => socket.destroy();
      world.over.addEventListener("abort", leave);
      await closed.promise;
      world.over.removeEventListener("abort", leave);
      if (failure !== undefined) throw failure;
      world.excuse(ends, `${this.#who} was closed`);
    }
  }

  #take(text: string): void {
    const message = JSON.parse(text);
    switch (message.type) {
      case "subscribed": {
        this.#epoch = message.epoch;
        const goesOn = !this.#isAtEnd &&
          message.epoch === this.chat.turns[this.#turn - 1]?.epoch;
        const isWhole = message.recovered &&
          message.after === (goesOn ? this.#seen : 0);
        // The end of a turn is told again to whoever comes back after it.
        const isLast = this.#isAtEnd &&
          this.#position.startsWith(message.epoch);
        if (!isWhole && !isLast) this.#fail(text);
        return;
      }
      case "events":
        for (const [index, { data }] of message.events.entries()) {
          this.#event(message.offset + index, data);
        }
        return;
      case "end":
        return this.#end(message.offset, message.status, message.reason, text);
      case "gap":
        return this.#fail(text);
      case "error":
        if (message.code !== "draining") this.#fail(text);
    }
  }

  #event(offset: number, data: string): void {
    if (this.#isAtEnd) {
      this.#turn++;
      this.#seen = 0;
      this.#isAtEnd = false;
    }
    const expected = this.chat.dataOf(this.#turn, this.#seen + 1);
    if (offset !== this.#seen + 1 || data !== expected) {
      this.#fail(`${data} at ${offset}, where ${expected} comes`);
    }
    this.#seen = offset;
    this.chat.told(this.#turn, this.#epoch, this.#who);
    this.#position = `${this.#epoch}:${offset}`;
  }

  #end(offset: number, status: string, reason: string, text: string): void {
    const turn = this.chat.turns[this.#turn - 1];
    // It is told again to whoever comes back after it.
    const isTold = this.#isAtEnd && this.#epoch === turn?.epoch;
    if (
      !turn?.isEnding || offset !== turn.asked + 1 ||
      (!isTold && offset !== this.#seen + 1) || status !== "complete" ||
      reason !== `turn ${this.#turn}`
    ) this.#fail(text);
    this.#isAtEnd = true;
    this.#position = `${this.#epoch}:${offset}`;
  }

  #fail(what: string): never {
    this.chat.fail(
      `${this.#who} in turn ${this.#turn} at ${this.#position}: ${what}`,
    );
  }
}

/** Runs it; throws at the first thing that is wrong. */
export async function runRenewals(
  { seed, kills, sync, chats: count, followers }: RenewalsOptions,
): Promise<RenewalsResult> {
  const random = new Random(seed);
  const world = new World();
  const folder = Deno.makeTempDirSync({ prefix: "rivulet-renewals-" });
  const port = freePort();
  const start = async (): Promise<MortalRelay> => {
    const query = sync === "full" ? "" : `?sync=${sync}`;
    const relay = new MortalRelay([
      ...["--port", `${port}`, "--store", `sqlite:${folder}/t.db${query}`],
      ...["--ttl", "24h", "--log-level", "warning"],
      ...["--head-timeout", "60s", "--body-timeout", "60s"],
    ]);
    const url = await within(relay.listening, LIMIT, "a relay to listen");
    if (url === undefined) throw new Error(await relay.ended());
    world.arrived(url);
    return relay;
  };
  const chats = Array.from(
    { length: count },
    (_, index) => new Chat(`chat-${index}`, world, random.fork()),
  );
  const stayers = chats.flatMap((chat) =>
    Array.from(
      { length: followers },
      (_, index) => new Stayer(`stayer ${index}`, chat, world),
    )
  );
  let relay = await start();
  const actors = [...chats, ...stayers].map(async (actor) => {
    try {
      await actor.run();
    } catch (error) {
      world.fail(error);
    }
  });
  /** Waits until each chat has ended turns since now, and all have read them. */
  const goesOn = async (): Promise<void> => {
    const targets = new Map(chats.map((chat) => [chat, chat.ended + 1]));
    await until(
      () => {
        world.check();
        const isDone = stayers.every(({ chat, read }) =>
          read >= (targets.get(chat) ?? 0)
        );
        return isDone || undefined;
      },
      LIMIT,
      () =>
        `all to read on: ${
          stayers.map(({ chat, read }) => `${chat.name} ${read}/${chat.ended}`)
            .join()
        }`,
    );
  };
  try {
    for (let kill = 0; kill < kills; kill++) {
      // A kill now and then comes before all have gone on.
      if (kill === 0 || random.chance(0.7)) await goesOn();
      await world.pause(random.next() * random.pick([20, 200, 1_000]));
      world.leaves("SIGKILL");
      await relay.kill("SIGKILL");
      relay = await start();
      world.check();
    }
    await goesOn();
    return {
      kills,
      turns: chats.reduce((sum, { ended }) => sum + ended, 0),
      read: stayers.reduce((sum, { read }) => sum + read, 0),
      resumed: stayers.reduce((sum, { resumed }) => sum + resumed, 0),
      repeated: chats.reduce((sum, { repeated }) => sum + repeated, 0),
    };
  } catch (error) {
    throw new Error(`Seed ${seed}: ${error}`, { cause: error });
  } finally {
    world.finish();
    await Promise.all(actors);
    await relay.kill("SIGKILL");
    await Deno.remove(folder, { recursive: true });
  }
}
