/**
 * A relay with a file for its topics that is killed at random moments, again and
 * again, among publishers, sources, runs and subscribers who hold each relay to
 * everything that those before it have said.
 *
 * Each check has failed when the relay was broken on purpose, within five kills:
 *
 * - an acknowledged event is lost: `Committer` answers 100 ms before it commits;
 * - an event is there twice: the store finds no key of a publication;
 * - a position is wrong: a source goes on from its start, or a response after one event
 *   more than the topic has;
 * - an epoch changes: a process reads another one from the file;
 * - an end is wrong: `endRestarted` says `complete`, or nothing;
 * - an end is late: `Recovery` waits for 2.5 s.
 *
 * @module
 */
import { freePort } from "../support/http/free_port.ts";
import { Random } from "../support/random.ts";
import { LIMIT, until, within } from "../support/within.ts";
import { ResponseContent, RunContent } from "./contents.ts";
import type { SmallDisk } from "../support/relay/small_disk.ts";
import { MortalRelay } from "../support/relay/mortal_relay.ts";
import { describe, describeAll, readPage } from "./pages.ts";
import { gather, type Population } from "./population.ts";
import type { Repetition } from "./publishers.ts";
import type { Description, Told, TopicRecord } from "./topic_record.ts";
import { Upstreams } from "./upstreams.ts";
import { type Tally, World } from "./world.ts";

/** The signal that ends the relay: `both` takes turns. */
export type Signals = "SIGKILL" | "SIGTERM" | "both";

/** The size of a run. */
export interface CrashOptions {
  readonly seed: number;
  /** The number of times that the relay is made to end. */
  readonly kills: number;
  readonly signals: Signals;
  /**
   * The number of workers; of two ends, one is that of a worker alone. Default: the relay
   * is one process.
   */
  readonly workers?: number | undefined;
  readonly sync: "full" | "normal";
  readonly repetition: Repetition;
  /** A disk that becomes full now and then. Default: the one of temporary files, which does not. */
  readonly disk?: SmallDisk | undefined;
  readonly publishers: number;
  /** Half of them by `--source`, half by `PUT`. */
  readonly sources: number;
  readonly callers: number;
  readonly followers: number;
  /** Called when all go on after a kill, or now and then. */
  readonly onProgress?: (result: CrashResult) => void;
}

/**
 * The parts of a restart, each with the longest time that it took, in milliseconds from
 * the moment at which the relay listens. The publishers and followers wait before they
 * come back, as their clients and the platform's `EventSource` do.
 */
export type Recovery = Record<
  | "descriptions"
  | "ends"
  | "responses"
  | "sources"
  | "publishers"
  | "followers",
  number
>;

/** The result of a run. */
export interface CrashResult extends Tally {
  readonly kills: number;
  /** The number of kills before the relay listened. */
  readonly killedInStart: number;
  /** The number of kills of a worker alone. */
  readonly workersKilled: number;
  /** The number of kills before everything went on after the last one. */
  readonly killedInRecovery: number;
  /** The number of times that the disk was full. */
  readonly full: number;
  readonly topics: number;
  /** The longest time between the start of a process and its listening, in milliseconds. */
  readonly start: number;
  readonly recovery: Recovery;
  /**
   * The longest time from the start of a process to the moment at which it tells the
   * end of everything that it cannot go on with, in milliseconds.
   */
  readonly readable: number;
  /** The number of starts after which that took 2 s at most, and of those after which it took longer: the first one counts, too. */
  readonly inTime: number;
  readonly late: number;
  /** The number of requests of the relays to sources that went on after an id. */
  readonly sourcesResumed: number;
  /** The number of requests of the relays for the rest of a background response. */
  readonly responsesResumed: number;
  readonly seconds: number;
}

/** The facts told of each topic when a relay ended. */
type Known = ReadonlyMap<TopicRecord, Told>;

/** The time after the start of a process in which all ends should be told, in milliseconds. */
const SOON = 2_000;

class Crash {
  readonly #options: CrashOptions;
  readonly #random: Random;
  readonly #world = new World();
  readonly #folder: string;
  readonly #upstreams: Upstreams;
  readonly #population: Population;
  readonly #began = performance.now();
  readonly #recovery: Recovery = {
    descriptions: 0,
    ends: 0,
    responses: 0,
    sources: 0,
    publishers: 0,
    followers: 0,
  };
  #relay: MortalRelay;
  /** The port of each start, so that all find the relay again. */
  readonly #port = freePort();
  #spawned = 0;
  #listening = 0;
  #start = 0;
  #kills = 0;
  #killedInStart = 0;
  #killedInRecovery = 0;
  #workersKilled = 0;
  #full = 0;
  #readable = 0;
  #inTime = 0;
  #late = 0;

  constructor(options: CrashOptions, upstreams: Upstreams) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#upstreams = upstreams;
    this.#folder = Deno.makeTempDirSync({
      prefix: "rivulet-crash-",
      ...options.disk && { dir: options.disk.path },
    });
    this.#world.mayFill = options.disk !== undefined;
    this.#world.hasWorkers = (options.workers ?? 1) > 1;
    this.#population = gather(
      { ...options, made: Math.floor(options.sources / 2) },
      this.#world,
      upstreams,
      this.#random,
    );
    this.#relay = this.#spawn();
  }

  get result(): CrashResult {
    return {
      ...this.#world.tally,
      kills: this.#kills,
      killedInStart: this.#killedInStart,
      killedInRecovery: this.#killedInRecovery,
      workersKilled: this.#workersKilled,
      full: this.#full,
      topics: this.#world.records.size,
      start: Math.round(this.#start),
      recovery: this.#recovery,
      readable: Math.round(this.#readable),
      inTime: this.#inTime,
      late: this.#late,
      sourcesResumed: this.#upstreams.resumed,
      responsesResumed: this.#upstreams.responsesResumed,
      seconds: Math.round((performance.now() - this.#began) / 1_000),
    };
  }

  async run(): Promise<CrashResult> {
    const actors: Promise<void>[] = [];
    try {
      await this.#listen();
      actors.push(...this.#population.actors.map((actor) => this.#act(actor)));
      await this.#recover(new Map());
      while (this.#kills < this.#options.kills) {
        await this.#killOnce();
        this.#options.onProgress?.(this.result);
      }
      this.#world.check();
      this.#world.finish();
      await Promise.all(actors);
      await this.#audit();
      return this.result;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(
        `Seed ${this.#options.seed}, after ${this.#kills} kills: ${text}`,
        { cause: error },
      );
    } finally {
      this.#world.finish();
      await Promise.all(actors);
      await this.#relay.kill("SIGKILL");
      await Deno.remove(this.#folder, { recursive: true });
    }
  }

  /** Whoever takes part does so until all is over. */
  async #act(actor: { run(): Promise<void> }): Promise<void> {
    try {
      await actor.run();
    } catch (error) {
      this.#world.fail(error);
    }
  }

  #spawn(): MortalRelay {
    const { origin } = this.#upstreams;
    const { sync, workers = 1 } = this.#options;
    const query = sync === "full" ? "" : `?sync=${sync}`;
    this.#spawned = performance.now();
    return new MortalRelay([
      ...["--port", String(this.#port), "--workers", String(workers)],
      ...["--store", `sqlite:${this.#folder}/topics.db${query}`],
      ...["--max-events", "10000000", "--max-bytes", "4GiB"],
      ...["--ttl", "24h", "--drain", "1s"],
      // One process plays all others, and a busy machine lets it wait.
      ...["--head-timeout", "60s", "--body-timeout", "60s"],
      ...["--slow-timeout", "60s"],
      ...["--allow-source", `${origin}/*`, "--allow-address", "127.0.0.1"],
      ...["--provider", `local=${origin}/v1`, "--log-level", "warning"],
      ...this.#population.operated.flatMap(({ name }) => [
        "--source",
        `${name}=${this.#upstreams.source(name, Number.MAX_SAFE_INTEGER)}`,
      ]),
    ]);
  }

  /** Waits until the relay listens. */
  async #listen(): Promise<void> {
    const url = await within(this.#relay.listening, LIMIT, "a relay to listen");
    if (url === undefined) {
      throw new Error(`The relay ended: ${await this.#relay.ended()}`);
    }
    this.#listening = performance.now();
    this.#start = Math.max(this.#start, this.#listening - this.#spawned);
    this.#world.arrived(url);
  }

  get #signal(): "SIGKILL" | "SIGTERM" {
    const { signals } = this.#options;
    if (signals !== "both") return signals;
    return this.#kills % 2 === 0 ? "SIGKILL" : "SIGTERM";
  }

  /** Ends the relay, starts one, and maybe waits until all goes on. */
  async #killOnce(): Promise<void> {
    const [how, when, long] = [
      this.#random.next(),
      this.#random.next(),
      this.#random.pick([20, 200, 1_000]),
    ];
    const world = this.#world;
    await world.pause(when * long);
    const { disk } = this.#options;
    if (disk) await this.#fill(disk);
    if (this.#random.chance(0.5) && await this.#killWorker()) return;
    const signal = this.#signal;
    world.leaves(signal);
    const said = await this.#relay.kill(signal);
    this.#kills++;
    this.#checkSaid(said);
    this.#relay = this.#spawn();
    while (this.#kills < this.#options.kills && this.#random.chance(0.1)) {
      const listens = await Promise.race([
        this.#relay.listening,
        world.pause(this.#random.next() * 1_000),
      ]);
      if (listens !== undefined) break;
      world.leavesUnheard();
      await this.#relay.kill("SIGKILL");
      this.#kills++;
      this.#killedInStart++;
      this.#relay = this.#spawn();
    }
    const known: Known = new Map(
      [...world.records.values()].map((record) => [record, record.told]),
    );
    await this.#listen();
    world.check();
    if (how < 0.25 && this.#kills < this.#options.kills) {
      this.#killedInRecovery++;
      return;
    }
    await this.#recover(known);
  }

  /** Kills a worker, if the relay has some, and waits until all goes on. */
  async #killWorker(): Promise<boolean> {
    const { workers = 1 } = this.#options;
    if (workers === 1) return false;
    const world = this.#world;
    const { workers: pids } = this.#relay;
    world.leaves("SIGKILL");
    const known: Known = new Map(
      [...world.records.values()].map((record) => [record, record.told]),
    );
    Deno.kill(this.#random.pick(pids), "SIGKILL");
    this.#spawned = performance.now();
    this.#kills++;
    this.#workersKilled++;
    const isWhole = async (): Promise<true | undefined> => {
      const response = await fetch(`${world.url}/metrics`);
      const text = await response.text();
      return text.includes(`\nrivulet_workers ${workers}\n`) || undefined;
    };
    await until(
      () => isWhole().catch(() => undefined),
      LIMIT,
      "a worker to be started again",
    );
    this.#listening = performance.now();
    world.arrived(world.url);
    await this.#recover(known);
    return true;
  }

  /** Fills the disk until the relay says that it can keep nothing, and gives it room again. */
  async #fill(disk: SmallDisk): Promise<void> {
    const world = this.#world;
    const isReady = async (): Promise<boolean> => {
      const response = await world.fetch("/readyz");
      await response.body?.cancel();
      return response.status === 200;
    };
    world.fills();
    this.#full++;
    disk.fill();
    const fails = async () => !await isReady() || undefined;
    await until(fails, LIMIT, "a full disk to be noticed");
    await world.pause(this.#random.next() * 1_000);
    disk.clear();
    const recovers = async () => await isReady() || undefined;
    await until(recovers, LIMIT, "the relay to store again");
    // Earlier answers are still on their way, and ends are stored a second
    // after they were told.
    await world.pause(2_000);
    world.isFull = false;
  }

  #checkSaid(said: string): void {
    const lines = said.split("\n").filter((line) =>
      /ERROR|panic/i.test(line) &&
      // A worker was killed, and that is said.
      !/Worker [0-9]+ has ended: SIGKILL/.test(line) &&
      // A full disk is said.
      !(this.#full > 0 && /Cannot write to the store/.test(line))
    );
    if (lines.length > 0) throw new Error(`The relay said ${lines.join("\n")}`);
  }

  /**
   * Holds the relay to what was known when the last one ended, and waits until
   * everybody goes on.
   */
  async #recover(known: Known): Promise<void> {
    const world = this.#world;
    const { starts } = world;
    const took = new Map<keyof Recovery, number>();
    const wait = async (
      part: keyof Recovery,
      isDone: () => string | undefined,
    ): Promise<void> => {
      let missing: string | undefined;
      await until(
        () => {
          world.check();
          missing = isDone();
          return missing === undefined ? true : undefined;
        },
        LIMIT,
        () => `${part} to go on: ${missing}`,
      );
      took.set(part, performance.now() - this.#listening);
    };
    await Promise.all([
      this.#describe(known).then(() =>
        took.set("descriptions", performance.now() - this.#listening)
      ),
      this.#end(known).then(() => {
        const now = performance.now();
        took.set("ends", now - this.#listening);
        const readable = now - this.#spawned;
        this.#readable = Math.max(this.#readable, readable);
        if (readable <= SOON) this.#inTime++;
        else this.#late++;
      }),
      this.#goOn(known).then(() =>
        took.set("responses", performance.now() - this.#listening)
      ),
      wait("sources", () => {
        const left = [...known].find(([record, { events, isThere }]) =>
          record.content.kind === "source" && !record.hasEnded && isThere &&
          record.known <= events
        );
        return left?.[0].name;
      }),
      wait("publishers", () => {
        const left = this.#population.publishers.find(({ heard }) =>
          heard < starts
        );
        return left?.state;
      }),
      wait(
        "followers",
        () =>
          this.#population.followers.find((one) =>
            // Who follows at a worker that goes on does not come back.
            world.hasWorkers ? !one.hasRead(known) : !one.hasCaughtUp(known)
          )?.state,
      ),
    ]);
    for (const [part, time] of took) {
      this.#recovery[part] = Math.round(Math.max(this.#recovery[part], time));
    }
  }

  /** Compares all descriptions with what was told. */
  async #describe(known: Known): Promise<void> {
    const { records } = this.#world;
    // Whether somebody has told the end since does not matter here.
    const descriptions = await describeAll(this.#world);
    const byName = new Map<string, Description>(
      descriptions?.map((one) => [one.name, one]),
    );
    for (const [record, told] of known) {
      const who = "the list";
      const described = byName.get(record.name);
      if (described) record.described(described, told, who);
      else if (told.isThere) record.fail(who, "the topic is gone");
    }
    for (const name of byName.keys()) {
      if (!records.has(name)) throw new Error(`Nobody knows topic ${name}`);
    }
  }

  /** Waits until the relay tells the ends of all runs, whoever else reads them. */
  async #end(known: Known): Promise<void> {
    const world = this.#world;
    for (const [record, { isThere }] of known) {
      if (!(record.content instanceof RunContent) || !isThere) continue;
      if (record.hasEnded) continue;
      await until(
        async () => {
          world.check();
          const { told } = record;
          const described = await describe(world, record.name);
          if (described) record.described(described, told, "who waits for it");
          return record.hasEnded || undefined;
        },
        LIMIT,
        () => `the end of ${record.name}`,
      );
    }
  }

  /** Waits until the responses in the background have more events than were told, or an end. */
  async #goOn(known: Known): Promise<void> {
    const world = this.#world;
    for (const [record, told] of known) {
      const { content, name } = record;
      if (!(content instanceof ResponseContent) || !told.isThere) continue;
      await until(
        async () => {
          world.check();
          if (record.hasEnded || record.known > told.events) return true;
          const described = await describe(world, name);
          if (described) record.described(described, told, "who waits for it");
          return described && described.next - 1 > told.events || undefined;
        },
        LIMIT,
        () => `${name} to go on after ${told.events}`,
      );
    }
  }

  /** Reads every topic from its first event on, when nobody else asks any more. */
  async #audit(): Promise<void> {
    const { records, url } = this.#world;
    const world = new World(records);
    world.arrived(url);
    try {
      for (const record of records.values()) await this.#read(world, record);
    } finally {
      world.finish();
    }
  }

  async #read(world: World, record: TopicRecord): Promise<void> {
    const who = "the audit";
    const check = record.check();
    // Nothing that comes meanwhile is waited for.
    const { known } = record;
    for (let seen = 0; seen < known;) {
      const page = await readPage(world, record, seen, who);
      if (!page) throw new Error("The relay is away");
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
export async function runCrash(options: CrashOptions): Promise<CrashResult> {
  await using upstreams = await Upstreams.start(new Random(options.seed + 1));
  return await new Crash(options, upstreams).run();
}
