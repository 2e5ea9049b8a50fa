import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { STATUS_CODE } from "@std/http/status";
import type { Clock } from "../../src/fetch/clock.ts";
import { goneSignal } from "../gone_signal.ts";
import { Problem } from "../problem.ts";
import type { After } from "../topics/position.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import { type Stored, whenStored } from "../topics/stored.ts";
import type { Topic } from "../topics/topic.ts";
import type { KeptRun, KeptRuns } from "./kept_runs.ts";
import { type KnownResponse, KnownResponses } from "./known_responses.ts";
import { type Asked, type AskedCall, digest, identityOf } from "./request.ts";
import {
  cancelledProblem,
  type RunFate,
  type RunTopic,
  topicHeaders,
} from "./run_topic.ts";
import { offsetAfter } from "./starting_after.ts";
import { TopicIndex } from "./topic_index.ts";

/** A caller that is to be answered with the events of a run that began before. */
export interface RunReplay {
  /** The response to write to: it has not begun. */
  readonly response: ServerResponse;
  /** The topic of the run. */
  readonly topic: Topic;
  /** The position after which the caller reads. */
  readonly after: After;
  /** Whether to leave out the relay's own events: the caller gets only the provider's. */
  readonly raw: true;
  /** The address of the caller. */
  readonly address: string;
  /** The name under which limits count the caller. */
  readonly client: string;
  /** The time when the caller's token expires, in milliseconds since the epoch. */
  readonly expires: number;
}

/** A run that callers join who ask for the same with the same Idempotency-Key. */
export interface JoinableRun {
  /** The topic that the run fills. */
  readonly topic: Topic;
  /** A digest of the body that the run was asked for with. */
  readonly fingerprint: string;
  /** The first thing that becomes of the run. */
  readonly fate: Promise<RunFate>;
}

const RESPONSE_PATH = /^responses\/[^/]+$/;

/** Whether a request is one for the rest of a response, as a stream. */
function asksForRest(
  { request: { method }, target: { path, url } }: Pick<
    AskedCall,
    "request" | "target"
  >,
): boolean {
  return method === "GET" && RESPONSE_PATH.test(path) &&
    url.searchParams.get("stream") === "true";
}

/** The runs that can be had once more: by Idempotency-Key, or by the id of the response. */
export class Joining {
  readonly #topics: TopicRegistry;
  readonly #byKey: TopicIndex<JoinableRun>;
  readonly #kept: KeptRuns;
  readonly #responses: KnownResponses;
  readonly #replay: (replay: RunReplay) => "streaming" | "at end";

  /**
   * Makes an index without runs.
   *
   * @param topics All topics: a run is known as long as its topic is there.
   * @param kept The runs that the store keeps.
   * @param clock The clock to use.
   * @param replay Answers a caller with a run's events, unless it has all of them
   * already.
   */
  constructor(
    topics: TopicRegistry,
    kept: KeptRuns,
    clock: Clock,
    replay: (replay: RunReplay) => "streaming" | "at end",
  ) {
    this.#topics = topics;
    this.#kept = kept;
    this.#byKey = new TopicIndex(topics);
    this.#responses = new KnownResponses(topics, kept, clock);
    this.#replay = replay;
  }

  /** Returns the run that has this {@linkcode joinKey}, if there is one. */
  find(key: string): Stored<JoinableRun | undefined> {
    return this.#byKey.get(key) ??
      // One may have come while the store was asked.
      whenStored(this.#keptRun(key), (kept) => this.#byKey.get(key) ?? kept);
  }

  /** Returns a run of a relay before this one. */
  #keptRun(key: string): Stored<JoinableRun | undefined> {
    return whenStored(this.#kept.run(key), (run) => {
      if (!run) return undefined;
      const { name, epoch, fingerprint } = run;
      return whenStored(this.#topics.prepare(name), () => {
        const topic = this.#topics.get(name, epoch);
        if (!topic && this.#kept.areShared) {
          // Its relay is gone, and the topic with it: the key is free.
          return this.#kept.forgetRun(key, run).then(() => undefined);
        }
        return topic &&
          { topic, fingerprint, fate: this.#fateOf(key, run, topic) };
      });
    });
  }

  /** Returns what has become of a run that this relay has not begun. */
  async #fateOf(key: string, run: KeptRun, topic: Topic): Promise<RunFate> {
    if (!this.#kept.areShared) return "streaming";
    const { name, log: { epoch } } = topic;
    const fate = await fateOf(topic);
    // The topic of a refused run that nobody has named is deleted, which other relays
    // see as a cancel; that of a cancelled run is still there.
    const isRefused = fate === "refused" ||
      fate === "cancelled" && !this.#topics.get(name, epoch);
    if (!isRefused) return fate;
    await this.#kept.forgetRun(key, run);
    return "refused";
  }

  /**
   * Has no other relay begin a run under a key that was added here.
   *
   * @returns The run of another relay, which was first.
   */
  async claim(
    key: string,
    { topic }: RunTopic,
    fingerprint: string,
  ): Promise<JoinableRun | undefined> {
    if (!topic || !this.#kept.areShared) return undefined;
    const { name, log: { epoch } } = topic;
    const other = await this.#kept.claimRun(key, { name, epoch, fingerprint });
    if (!other || other.epoch === epoch) return undefined;
    this.#byKey.remove(key);
    return await this.#keptRun(key);
  }

  /** Lets callers join a run by a {@linkcode joinKey}, until it is refused or cancelled before its stream began. */
  add(key: string, plan: RunTopic, fingerprint: string): void {
    const { topic, fate } = plan;
    if (!topic) return;
    const isGivenUp = () => plan.isGivenUp;
    const run = { topic, fingerprint, fate };
    this.#byKey.set(key, run);
    const { name, log: { epoch } } = topic;
    const kept = { name, epoch, fingerprint };
    void fate.then((fate) => {
      if (fate === "streaming") return this.#kept.addRun(key, kept);
      this.#byKey.delete(key, run);
      // A key that another relay has claimed is not this relay's to forget.
      if (this.#kept.areShared && !isGivenUp()) {
        this.#kept.forgetRun(key, kept).catch(() => {});
      }
    });
  }

  /** Lets callers use the response of a run by its id, and resume the run, if it has a topic. */
  addResponse(asked: Asked, id: string, { topic }: RunTopic): void {
    const { topicName, access: { identity: owner } } = asked;
    const key = responseKey(asked, id);
    this.#responses.add(key, { topicName, owner }, topic);
  }

  /** Returns what is known of a response, by its id. */
  response(
    asked: Pick<Asked, "target" | "headers" | "url">,
    id: string,
  ): Stored<KnownResponse | undefined> {
    return this.#responses.get(responseKey(asked, id));
  }

  /** Returns what is known of the response that the path of a request names. */
  responseAsked(
    asked: Pick<
      AskedCall,
      "target" | "headers" | "url" | "request" | "response"
    >,
    id: string,
  ): Stored<KnownResponse | undefined> {
    const key = responseKey(asked, id);
    // Whoever comes back for the rest may have had the id a moment ago, of another relay.
    return asksForRest(asked)
      ? this.#responses.getNew(key, goneSignal(asked.response))
      : this.#responses.get(key);
  }

  /** Returns the topic that has the events of a response, while it is there. */
  topicOf(
    asked: Pick<Asked, "target" | "headers" | "url">,
    id: string,
  ): Stored<Topic | undefined> {
    return this.#responses.topicOf(responseKey(asked, id));
  }

  /**
   * Answers a caller with a run that was begun before.
   *
   * @param asked The request.
   * @param run The run that has its key.
   * @param fingerprint A digest of the request's body.
   * @returns Whether the caller is answered: if not, the run was refused.
   * @throws {Problem} If the run is another, was cancelled, or is not retained.
   */
  async join(
    asked: AskedCall,
    run: JoinableRun,
    fingerprint: string,
  ): Promise<boolean> {
    if (run.fingerprint !== fingerprint) {
      throw new Problem(
        STATUS_CODE.UnprocessableEntity,
        "idempotency_mismatch",
        "Expected the request that this Idempotency-Key was used for before, and got another: use a key of its own",
      );
    }
    const { response } = asked;
    const { topic } = run;
    // Without followers, a relay forgets the topic of another one before it is told more.
    topic.follow();
    const fate = await run.fate.finally(() => topic.unfollow());
    if (response.destroyed) return true; // the caller has left
    if (fate === "refused") return false;
    // Whoever stopped the run did not mean that another should take its place.
    if (fate === "cancelled") throw cancelledProblem(topic.name);
    if (topic.log.first > 1) {
      throw new Problem(
        STATUS_CODE.Gone,
        "run_not_retained",
        `The beginning of this run is not retained any more: what is left is at /topics/${topic.name}`,
      );
    }
    setTopicHeaders(response, topic);
    response.setHeader("Idempotent-Replayed", "true");
    this.#stream(asked, topic, "start");
    return true;
  }

  /**
   * Answers a request for the rest of a response from its topic.
   *
   * @param asked The request. Its caller may read the topic.
   * @param topic The topic of the response that the path names.
   * @returns `undefined` if it asks for nothing that the topic retains: then the
   * provider may have it.
   */
  async resume(
    asked: AskedCall,
    topic: Topic,
  ): Promise<Response | undefined> {
    if (!asksForRest(asked)) return undefined;
    const { response, target: { url: { searchParams } } } = asked;
    // Which of two values counts is for the provider to say.
    const isTwice = ["stream", "starting_after"].some((name) =>
      searchParams.getAll(name).length > 1
    );
    if (isTwice) return undefined;
    const startingAfter = searchParams.get("starting_after") ?? "-1";
    if (!/^(?:-1|[0-9]{1,15})$/.test(startingAfter)) return undefined;
    const { log } = topic;
    const offset = await offsetAfter(log, Number(startingAfter));
    if (offset === undefined || offset < log.first) return undefined;
    // All of a stream that broke off: only the provider may have more.
    const isAll = topic.state.kind === "ended" && offset === log.next;
    if (isAll && !topic.isWhole) return undefined;
    if (response.destroyed) return RESPONSE_ALREADY_SENT;
    setTopicHeaders(response, topic);
    const after = { epoch: log.epoch, offset: offset - 1 };
    const from = after.offset === 0 ? "start" : after;
    if (this.#stream(asked, topic, from) === "streaming") {
      return RESPONSE_ALREADY_SENT;
    }
    // The caller has everything: a stream without events, as the provider would send.
    const headers = {
      ...topicHeaders(topic),
      "Content-Type": "text/event-stream",
    };
    return new Response("", { headers });
  }

  #stream(
    { response, address, client, access: { expires } }: AskedCall,
    topic: Topic,
    after: After,
  ): "streaming" | "at end" {
    return this.#replay({
      response,
      topic,
      after,
      raw: true,
      address,
      client,
      expires,
    });
  }
}

/**
 * Returns the key under which the same request of the same caller joins a run;
 * `undefined` if the caller gives no Idempotency-Key.
 */
export function joinKey(
  asked: Asked,
): string | undefined {
  const { access, target, options: { idempotencyKey } } = asked;
  return idempotencyKey && digest(JSON.stringify([
    target.provider.name,
    target.path,
    JSON.stringify([access.identity, identityOf(asked)]),
    idempotencyKey,
  ]));
}

/** Returns the key of a response's id: every caller with the same key of the provider may use it. */
function responseKey(
  asked: Pick<Asked, "target" | "headers" | "url">,
  id: string,
): string {
  const { name, key } = asked.target.provider;
  return JSON.stringify([name, key ? "" : identityOf(asked), id]);
}

/** Returns what becomes of a run of another relay, or of one before this. */
async function fateOf(topic: Topic): Promise<RunFate> {
  if (topic.state.kind === "pending") {
    const changed = Promise.withResolvers<void>();
    const stop = topic.observe({ changed: () => changed.resolve() });
    await Promise.race([changed.promise, topic.ended]);
    stop();
    if (topic.state.kind === "pending") return await fateOf(topic);
  }
  const { state, log } = topic;
  if (state.kind !== "ended" || log.next > 1) return "streaming";
  return state.end.status === "cancelled" ? "cancelled" : "refused";
}

function setTopicHeaders(response: ServerResponse, topic: Topic): void {
  for (const [name, value] of Object.entries(topicHeaders(topic))) {
    response.setHeader(name, value);
  }
}
