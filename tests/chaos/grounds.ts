/**
 * Relays in processes of their own that are killed: workers, and the levels of a tree.
 *
 * @module
 */
import { configurationText } from "../../relay/options/configuration_text.ts";
import type { RelayOptions } from "../../relay/options/relay_options.ts";
import { commandOptions } from "../../relay/options/schema.ts";
import { PlacedRelay } from "../support/relay/placed_relay.ts";
import type { Random } from "../support/random.ts";
import { until } from "../support/within.ts";
import { KINDS } from "./plan.ts";
import type { Door, Settings } from "./world.ts";

/** The shapes of relays that are killed. */
export const GROUNDS = ["workers", "tree"] as const;

/** A shape of relays that are killed. */
export type GroundKind = typeof GROUNDS[number];

/** The stores where the topics live. */
export const GROUND_STORES = ["memory", "sqlite"] as const;

/** A store where the topics live. */
export type GroundStore = typeof GROUND_STORES[number];

/** The longest time for relays to know of a start, in milliseconds. */
const START = 60_000;

/** Much is said here. */
const LIMITS = { maxMessageRate: 1e9, maxMessageBytesRate: 1e9 };

/** A relay that is killed, and begun again at the same port. */
export class Place extends PlacedRelay implements Door {
  incarnation = 0;
  isGoing = false;
  absences = 0;

  get isAlone(): boolean {
    return this.absences % 2 > 0;
  }

  /** Returns the epoch of a topic; `undefined` if there is none. */
  async epochOf(name: string): Promise<string | undefined> {
    const { headers } = await fetch(`${this.url}/topics/${name}`, {
      method: "HEAD",
    });
    return headers.get("rivulet-epoch") ?? undefined;
  }
}

function pause(milliseconds: number): Promise<undefined> {
  return new Promise((resolve) =>
    setTimeout(() => resolve(undefined), milliseconds)
  );
}

/** Relays that are killed. */
export abstract class Ground {
  readonly store: GroundStore;
  /** The relays, the one where the topics live first. */
  readonly places: Place[] = [];
  /** The number of kills, by what was killed. */
  readonly kills: Record<string, number> = {};
  /** The number of times that the relay with the topics has lost its memory. */
  forgotten = 0;
  /** The number of kills after which relays were without others for so long that leases may be over. */
  longAbsences = 0;
  /** The URL of the provider of all relays, in place of `/v1`. */
  protected readonly provider: string;
  protected readonly folder: string;
  #files = 0;

  constructor(store: GroundStore, folder: string, provider: string) {
    this.store = store;
    this.folder = folder;
    this.provider = provider;
  }

  /** The relays to which subscribers and publishers come. */
  abstract readonly doors: readonly [Place, ...Place[]];

  /** The number of the processes that may be killed. */
  abstract readonly targets: number;

  /** Kills one of the processes, has it start again, and waits until all are ready. */
  async kill(target: number, random: Random): Promise<void> {
    const began = performance.now();
    this.kills[this.nameOf(target)] = (this.kills[this.nameOf(target)] ?? 0) +
      1;
    await this.replace(target, random);
    if (performance.now() - began > LEASES) this.longAbsences++;
  }

  /** The number of times that a relay went, or came back. */
  get changes(): number {
    return this.places.reduce(
      (sum, { incarnation, absences }) => sum + incarnation + absences,
      0,
    );
  }

  /** Whether a relay is away, or was cut off from others. */
  get isChanging(): boolean {
    return this.places.some(({ isGoing, isAlone }) => isGoing || isAlone);
  }

  /** Returns the words for a process. */
  protected abstract nameOf(target: number): string;

  /** Kills one of the processes, and has it start again. */
  protected abstract replace(target: number, random: Random): Promise<void>;

  /** Starts all. */
  async start(): Promise<void> {
    for (const place of this.places) {
      await place.start();
      await place.isReady();
    }
  }

  /** Returns what each relay has of the topics. */
  async describe(): Promise<string> {
    const all = await Promise.all(this.places.map(async ({ name, url }) => {
      try {
        const answer = await fetch(`${url}/topics?limit=1000`);
        const { topics } = await answer.json();
        return `${name}: ${topics.map(JSON.stringify).join("\n  ")}`;
      } catch (error) {
        return `${name}: ${error}`;
      }
    }));
    return all.join("\n");
  }

  /**
   * Stops all.
   *
   * @returns The warnings and errors of the relays, of those that were killed too.
   */
  async stop(): Promise<string> {
    for (const place of this.places.toReversed()) await place.kill("SIGTERM");
    return this.places.map(({ name, said }) => {
      const warnings = said.split("\n").filter((line) =>
        line !== "" && !line.includes('"level":"INFO"')
      );
      return [`${name}:`, ...warnings].join("\n");
    }).join("\n");
  }

  protected get address(): string {
    return this.store === "memory" ? "memory" : `sqlite:${this.folder}/s.db`;
  }

  /** Returns the arguments for these options. */
  protected configured(options: RelayOptions): string[] {
    const path = `${this.folder}/${this.#files++}.json`;
    Deno.writeTextFileSync(
      path,
      configurationText(commandOptions.parse({
        limits: LIMITS,
        gateway: { providers: [{ name: "local", url: this.provider }] },
        ...options,
      })),
    );
    return ["--config", path];
  }
}

function deliveryOf(
  { heartbeat, slowTimeout, onSlow, awaitTopics }: Settings,
): NonNullable<RelayOptions["delivery"]> {
  return { heartbeat, slowTimeout, onSlow, awaitTopics };
}

function retentionOf(
  { maxEvents, maxBytes, maxAge, endedTtl, awaitedTtl }: Settings,
): NonNullable<RelayOptions["retention"]> {
  return { maxEvents, maxBytes, maxAge, endedTtl, awaitedTtl };
}

/** The time for which something that was killed stays away at most, in milliseconds. */
const AWAY = 500;

/**
 * The time after which leases may be over that relays have above one that is away, in
 * milliseconds: with some of the 15 s that the machine may take.
 */
const LEASES = 10_000;

/** A root, a relay in the middle, and two edges. */
class Tree extends Ground {
  readonly doors: readonly [Place, Place];

  constructor(
    store: GroundStore,
    folder: string,
    provider: string,
    settings: Settings,
  ) {
    super(store, folder, provider);
    const delivery = deliveryOf(settings);
    const place = (name: string, options: RelayOptions): Place => {
      const args = this.configured(options);
      const made = new Place(name, (port) => [...args, "--port", `${port}`]);
      this.places.push(made);
      return made;
    };
    const retention = retentionOf(settings);
    const root = place("the root", {
      store: this.address,
      retention,
      links: true,
    });
    const middle = place("the middle", { store: root.url, links: true });
    const below = { store: middle.url, delivery };
    this.doors = [place("an edge", below), place("another edge", below)];
  }

  get targets(): number {
    return this.places.length;
  }

  protected override nameOf(target: number): string {
    return this.places[target]!.name; // there is one
  }

  protected override async replace(
    target: number,
    random: Random,
  ): Promise<void> {
    const place = this.places[target]!; // there is one
    const forgets = target === 0 && this.store === "memory";
    if (forgets) this.forgotten++;
    const below = target < 2 ? this.places.slice(target + 1) : [];
    const losing = forgets ? [place, ...below] : [place];
    const change = (): void => {
      for (const one of losing) one.incarnation++;
    };
    for (const one of losing) one.isGoing = true;
    for (const one of below) one.absences++;
    change();
    await place.kill("SIGKILL");
    await pause(random.integer(0, AWAY));
    await place.start();
    for (const one of [place, ...below]) await one.isReady();
    if (forgets) await this.#learned(below);
    change();
    for (const one of losing) one.isGoing = false;
    for (const one of below) one.absences++;
  }

  /** Waits until relays below know which logs there are no more. */
  async #learned(below: readonly Place[]): Promise<void> {
    for (const name of KINDS.keys()) {
      for (const place of below) {
        await until(
          async () => {
            const [above, here] = await Promise.all(
              [this.places[0]!, place].map((one) => one.epochOf(name)),
            );
            return above === here || undefined;
          },
          START,
          `${place.name} to know that '${name}' was lost`,
        );
      }
    }
  }
}

/** A process with the topics, and two workers. */
class Workers extends Ground {
  readonly doors: readonly [Place];

  constructor(
    store: GroundStore,
    folder: string,
    provider: string,
    settings: Settings,
  ) {
    super(store, folder, provider);
    const args = this.configured({
      store: this.address,
      retention: retentionOf(settings),
      delivery: deliveryOf(settings),
    });
    const place = new Place(
      "the parent",
      (port) => [...args, "--port", `${port}`, "--workers", "2"],
    );
    this.places.push(place);
    this.doors = [place];
  }

  /** The parent, and each worker. */
  get targets(): number {
    return 3;
  }

  protected override nameOf(target: number): string {
    return target === 0 ? this.doors[0].name : "a worker";
  }

  protected override async replace(
    target: number,
    random: Random,
  ): Promise<void> {
    const [place] = this.doors;
    place.isGoing = true;
    place.incarnation++;
    if (target === 0) {
      if (this.store === "memory") this.forgotten++;
      await place.kill("SIGKILL");
      await pause(random.integer(0, AWAY));
      await place.start();
    } else {
      const worker = place.workers[target - 1];
      if (worker !== undefined) {
        Deno.kill(worker, "SIGKILL");
        await until(
          () => !place.workers.includes(worker) || undefined,
          START,
          "a worker to end",
        );
      }
    }
    await until(
      () => place.workers.length === 2 || undefined,
      START,
      "two workers",
    );
    await place.isReady();
    place.incarnation++;
    place.isGoing = false;
  }
}

/** Makes relays, which are not started yet. */
export function makeGround(
  kind: GroundKind,
  store: GroundStore,
  folder: string,
  provider: string,
  settings: Settings,
): Ground {
  return kind === "tree"
    ? new Tree(store, folder, provider, settings)
    : new Workers(store, folder, provider, settings);
}
