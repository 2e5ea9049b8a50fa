import type { Clock } from "../../src/fetch/clock.ts";
import { redactUrl } from "../../src/fetch/redact.ts";
import type { Topic } from "../topics/topic.ts";
import { FixtureSource } from "./fixture.ts";
import type { RepeatsPolicy } from "./repeats.ts";
import type { Source } from "./source.ts";
import type { SourceReconnect } from "./source_reconnect.ts";
import { SseSource } from "./sse.ts";

/** What fills a topic. */
export type SourceSpec =
  | {
    readonly kind: "sse";
    /** The upstream. */
    readonly url: string;
    /** Sent with the request. */
    readonly headers?: Readonly<Record<string, string>> | undefined;
    /** What a redirect leads to. Default: `"follow"`. */
    readonly redirect?: RequestRedirect | undefined;
    /** When to connect again. */
    readonly reconnect: boolean | SourceReconnect;
    /** What becomes of events whose id was there before. */
    readonly repeats: RepeatsPolicy;
  }
  | {
    readonly kind: "fixture";
    /** The file. */
    readonly path: string;
    /** Whether to begin anew at its end. */
    readonly loop: boolean;
  };

/** The sources that run, by the topic that they fill. */
export class Sources implements AsyncDisposable {
  readonly #running = new Map<Topic, { spec: SourceSpec; source: Source }>();
  readonly #clock: Clock;

  /** Makes a set without sources. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns what fills a topic, if anything does. */
  get(topic: Topic): SourceSpec | undefined {
    return this.#running.get(topic)?.spec;
  }

  /** Begins to fill a topic that nothing fills. */
  start(topic: Topic, spec: SourceSpec): Source {
    const clock = this.#clock;
    let source: Source;
    if (spec.kind === "sse") {
      const { url, headers, redirect, reconnect, repeats } = spec;
      topic.source = redactUrl(url);
      source = new SseSource(topic, url, {
        ...(headers && { headers }),
        ...(redirect && { redirect }),
        reconnect,
        repeats,
        clock,
      });
    } else {
      const { path, loop } = spec;
      topic.source = `fixture ${path}`;
      source = new FixtureSource(topic, path, { loop, clock });
    }
    const entry = { spec, source };
    this.#running.set(topic, entry);
    // Who has to know of a failure awaits `opened`; all others read the topic's end.
    source.opened.catch(() => {});
    return source;
  }

  /** Stops every source, and waits until they have stopped. */
  async [Symbol.asyncDispose](): Promise<void> {
    const sources = [...this.#running.values()].map(({ source }) => source);
    for (const source of sources) source.stop();
    await Promise.all(sources.map(({ finished }) => finished));
  }
}
