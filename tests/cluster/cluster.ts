/**
 * Relays and NATS servers that are killed, stopped and cut off, among publishers,
 * sources, runs and subscribers who come back to another relay each time.
 *
 * @module
 */
import { RunContent } from "../crash/contents.ts";
import { enterDescription, readPage } from "../crash/pages.ts";
import { gather, type Population } from "../crash/population.ts";
import type { Told, TopicRecord } from "../crash/topic_record.ts";
import { Upstreams } from "../crash/upstreams.ts";
import type { Tally } from "../crash/world.ts";
import { freePort } from "../support/http/free_port.ts";
import { MortalRelay } from "../support/relay/mortal_relay.ts";
import { Random } from "../support/random.ts";
import { LIMIT, within } from "../support/within.ts";
import { ClusterWorld } from "./cluster_world.ts";
import { delaysOf, GivenTime } from "./given_time.ts";
import { Line } from "./line.ts";
import { NatsCluster } from "./nats_cluster.ts";
import { Probe } from "./probe.ts";

/** The faults of a relay or a NATS server. */
export const FAULTS = [
  "kill relay",
  "stop relay",
  "cut relay off",
  "kill NATS",
  "kill NATS leader",
  "stop NATS",
  "cut NATS off",
] as const;

/** One of them. */
export type Fault = typeof FAULTS[number];

/** The size of a run. */
export interface ClusterOptions {
  readonly seed: number;
  readonly faults: readonly Fault[];
  readonly publishers: number;
  readonly sources: number;
  readonly callers: number;
  readonly followers: number;
  /** A folder for what the relays say, in full and from `info` on. Default: what is shown when a run fails. */
  readonly logs?: string | undefined;
  /** Told of each fault when all is well again. */
  readonly onFault?: (row: FaultRow) => void;
}

/** The effects of a fault: times in milliseconds. */
export interface FaultRow {
  readonly fault: Fault;
  /** The longest time without an acknowledgement of a publisher who asks ten times a second. */
  readonly publishing: number;
  /** The longest time without an event of theirs at a subscriber. */
  readonly delivery: number;
  /** The number of publications refused or not answered meanwhile. */
  readonly refused: number;
  /** The number of connections of subscribers that went on after a position meanwhile. */
  readonly resumed: number;
}

/** The result of a run. */
export interface ClusterResult extends Tally {
  readonly rows: readonly FaultRow[];
  readonly topics: number;
  readonly sourcesResumed: number;
  readonly responsesResumed: number;
  readonly seconds: number;
  /** The seconds of these that the machine has given to the processes. */
  readonly given: number;
}

/**
 * The time for which a process is stopped, or a network silent, in
 * milliseconds.
 */
const PAUSE = 4_000;

const RELAYS = 3;

/** The end of what a relay has said that is shown when a run fails, in characters. */
const SHOWN = 8_000;

/** A relay, its lines to the NATS servers, and its port. */
interface Member {
  process: MortalRelay;
  /** The stderr of its predecessors. */
  said: string;
  readonly lines: readonly Line[];
  readonly port: number;
}

class Cluster {
  readonly #options: ClusterOptions;
  readonly #random: Random;
  readonly #world: ClusterWorld;
  readonly #time: GivenTime;
  readonly #nats: NatsCluster;
  readonly #upstreams: Upstreams;
  readonly #members: Member[] = [];
  readonly #population: Population;
  readonly #rows: FaultRow[] = [];
  readonly #began = performance.now();

  constructor(
    options: ClusterOptions,
    nats: NatsCluster,
    upstreams: Upstreams,
  ) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#nats = nats;
    this.#upstreams = upstreams;
    this.#time = new GivenTime(() => delaysOf(this.#pids));
    this.#world = new ClusterWorld(this.#time);
    this.#world.mayFill = true;
    this.#world.isFull = true;
    this.#population = gather(
      { ...options, made: Math.ceil(options.sources / 2), repetition: "key" },
      this.#world,
      upstreams,
      this.#random,
    );
  }

  async run(): Promise<ClusterResult> {
    const world = this.#world;
    await using stack = new AsyncDisposableStack();
    stack.use(this.#time);
    const actors: Promise<void>[] = [];
    stack.defer(async () => {
      world.finish();
      await Promise.all(actors);
      for (const { process } of this.#members) await process.kill("SIGKILL");
    });
    for (let index = 0; index < RELAYS; index++) {
      const lines: Line[] = [];
      for (const port of this.#nats.ports) {
        lines.push(stack.use(await Line.start(() => [port])));
      }
      const port = freePort();
      const process = this.#spawn(lines, port);
      this.#members.push({ process, said: "", lines, port });
    }
    for (const member of this.#members) await this.#listens(member);
    // Each connection reaches one of the relays.
    const front = stack.use(
      await Line.start(() =>
        this.#random.shuffle(this.#members.map(({ port }) => port))
      ),
    );
    const url = `http://127.0.0.1:${front.port}`;
    world.arrived(url);
    await using probe = new Probe(url, this.#time);
    actors.push(...this.#population.actors.map((actor) => this.#act(actor)));
    try {
      await this.#goesOn();
      for (const fault of this.#options.faults) {
        probe.reset();
        const { resumed } = this.#world.tally;
        await this.#happen(fault);
        await this.#goesOn();
        await probe.goesOn();
        const row = {
          ...{ fault, ...probe.gaps },
          resumed: this.#world.tally.resumed - resumed,
        };
        this.#rows.push(row);
        this.#options.onFault?.(row);
      }
      await probe.end();
      world.check();
      await this.#ends();
      await this.#audit();
      return this.#result;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(
        `Seed ${this.#options.seed}, after ${
          JSON.stringify(this.#rows)
        }: ${text}\n${await this.#nats.describe()}\n${await this.#logs()}`,
        { cause: error },
      );
    }
  }

  /** The processes that have to go on: this one has the network between them, too. */
  get #pids(): readonly number[] {
    const relays = this.#members.map(({ process }) => process.pid);
    return [Deno.pid, ...relays, ...this.#nats.pids];
  }

  get #result(): ClusterResult {
    return {
      given: Math.round(this.#time.given / 1_000),
      ...this.#world.tally,
      rows: this.#rows,
      topics: this.#world.records.size,
      sourcesResumed: this.#upstreams.resumed,
      responsesResumed: this.#upstreams.responsesResumed,
      seconds: Math.round((performance.now() - this.#began) / 1_000),
    };
  }

  /** Ends the relays; returns what they have said. */
  async #logs(): Promise<string> {
    const logs = await Promise.all(
      this.#members.map(async ({ process, said }, index) => {
        const all = said + await process.kill("SIGKILL");
        const { logs } = this.#options;
        if (logs !== undefined) {
          await Deno.mkdir(logs, { recursive: true });
          await Deno.writeTextFile(`${logs}/relay-${index}.log`, all);
        }
        return `relay ${index} said:\n${all.slice(-SHOWN)}`;
      }),
    );
    return logs.join("\n");
  }

  async #act(actor: { run(): Promise<void> }): Promise<void> {
    try {
      await actor.run();
    } catch (error) {
      this.#world.fail(error);
    }
  }

  #spawn(lines: readonly Line[], port: number): MortalRelay {
    const { origin } = this.#upstreams;
    const servers = lines.map((line) => `127.0.0.1:${line.port}`).join();
    return new MortalRelay([
      ...["--port", String(port)],
      ...["--store", `nats://${servers}?replicas=${this.#nats.size}`],
      ...["--max-events", "10000000", "--max-bytes", "1GiB"],
      ...["--ttl", "24h", "--drain", "1s"],
      ...["--head-timeout", "60s", "--body-timeout", "60s"],
      ...["--allow-source", `${origin}/*`, "--allow-address", "127.0.0.1"],
      ...["--provider", `local=${origin}/v1`, "--log-level"],
      this.#options.logs === undefined ? "error" : "info",
      ...this.#population.operated.flatMap(({ name }) => [
        "--source",
        `${name}=${this.#upstreams.source(name, Number.MAX_SAFE_INTEGER)}`,
      ]),
    ]);
  }

  async #listens(member: Member): Promise<void> {
    const { process } = member;
    const url = await within(process.listening, LIMIT, "a relay to listen");
    if (url === undefined) {
      throw new Error(`A relay ended: ${await process.ended()}`);
    }
  }

  async #happen(fault: Fault): Promise<void> {
    const world = this.#world;
    const member = this.#random.pick(this.#members);
    const server = this.#random.integer(0, this.#nats.size - 1);
    switch (fault) {
      case "kill relay":
        member.said += await member.process.kill("SIGKILL");
        await world.pause(PAUSE);
        member.process = this.#spawn(member.lines, member.port);
        await this.#listens(member);
        break;
      case "stop relay":
        member.process.signal("SIGSTOP");
        await world.pause(PAUSE);
        member.process.signal("SIGCONT");
        break;
      case "cut relay off":
        for (const line of member.lines) line.silence();
        await world.pause(PAUSE);
        for (const line of member.lines) line.speak();
        break;
      case "kill NATS":
      case "kill NATS leader": {
        const index = fault === "kill NATS"
          ? server
          : await this.#nats.leaderOf("rivulet_logs");
        await this.#nats.kill(index);
        await world.pause(PAUSE);
        await this.#nats.start(index);
        break;
      }
      case "stop NATS":
        this.#nats.signal(server, "SIGSTOP");
        await world.pause(PAUSE);
        this.#nats.signal(server, "SIGCONT");
        break;
      case "cut NATS off":
        this.#nats.cutOff(server);
        await world.pause(PAUSE);
        this.#nats.join(server);
        break;
    }
    world.check();
  }

  /** Waits until everybody goes on. */
  async #goesOn(): Promise<void> {
    const world = this.#world;
    world.starts++;
    const { starts } = world;
    const known = new Map<TopicRecord, Told>(
      [...world.records.values()].map((record) => [record, record.told]),
    );
    const wait = async (
      part: string,
      isDone: () => string | undefined,
    ): Promise<void> => {
      let missing: string | undefined;
      await this.#time.until(
        () => {
          world.check();
          missing = isDone();
          return missing === undefined ? true : undefined;
        },
        LIMIT,
        () => `${part} to go on: ${missing}`,
      );
    };
    await Promise.all([
      wait("publishers", () => {
        const left = this.#population.publishers.find(({ heard }) =>
          heard < starts
        );
        return left?.state;
      }),
      wait("sources", () => {
        const left = this.#population.operated.find((record) =>
          record.known <= (known.get(record)?.events ?? 0)
        );
        return left?.name;
      }),
      wait("followers", () => {
        const left = this.#population.followers.find((one) =>
          !one.hasRead(known)
        );
        return left?.state;
      }),
    ]);
  }

  /** Waits for the end of every run: none is open for ever. */
  async #ends(): Promise<void> {
    const world = this.#world;
    for (const record of [...world.records.values()]) {
      const { content, name, told } = record;
      if (!(content instanceof RunContent) || !told.isThere) continue;
      await this.#time.until(
        async () => {
          world.check();
          if (record.hasEnded) return true;
          await enterDescription(world, record, "the end");
          return record.hasEnded || undefined;
        },
        LIMIT,
        () => `the end of ${name}`,
      );
    }
  }

  /** Reads every topic from its first event on, when nobody else asks any more. */
  async #audit(): Promise<void> {
    const { records, url } = this.#world;
    this.#world.finish();
    const world = new ClusterWorld(this.#time, records);
    world.arrived(url);
    try {
      for (const record of records.values()) await this.#read(world, record);
    } finally {
      world.finish();
    }
  }

  async #read(world: ClusterWorld, record: TopicRecord): Promise<void> {
    const who = "the audit";
    const check = record.check();
    const { known } = record;
    for (let seen = 0; seen < known;) {
      const page = await readPage(world, record, seen, who);
      if (!page) continue;
      if (page.events.length === 0) {
        record.fail(who, `${seen} events, of ${known} that were told`);
      }
      for (const event of page.events) {
        const at = ++seen;
        record.guard(who, "an event", () => check(at, event));
      }
    }
  }
}

/** Runs it; throws at the first thing that is wrong. */
export async function runCluster(
  options: ClusterOptions,
): Promise<ClusterResult> {
  await using upstreams = await Upstreams.start(new Random(options.seed + 1));
  await using nats = await NatsCluster.start(3, true);
  return await new Cluster(options, nats, upstreams).run();
}
