import { BenchProcess } from "../fanout/process.ts";

/** A part of a crowd that is in another process. */
export class CrowdProcess implements AsyncDisposable {
  readonly #process = new BenchProcess([
    ...[Deno.execPath(), "run", "-A", "--no-check"],
    new URL("crowd_main.ts", import.meta.url).pathname,
  ]);

  /** Adds subscribers of a relay. */
  async join(url: string, count: number): Promise<void> {
    await this.#ask(`join ${count} ${url}`);
  }

  /** Has all that are cut off come back at one of some relays, spread over some time. */
  async moveTo(urls: readonly string[], spread: number): Promise<void> {
    await this.#ask(`move ${spread} ${urls.join(" ")}`);
  }

  /** Returns the number that is connected, and the number that has had the last event. */
  async count(): Promise<readonly [connected: number, done: number]> {
    const [connected = 0, done = 0] = (await this.#ask("count")).split(" ")
      .map(Number);
    return [connected, done];
  }

  /** Cuts all off. */
  async leave(): Promise<void> {
    await this.#ask("leave");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }

  async #ask(line: string): Promise<string> {
    await this.#process.say(line);
    return (await this.#process.hear(/^.*$/))[0];
  }
}
