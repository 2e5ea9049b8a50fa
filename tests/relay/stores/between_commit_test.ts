// A relay that dies just before a commit, and between a commit and its acknowledgement.
import { assert, assertEquals } from "@std/assert";
import { MortalRelay } from "../../support/relay/mortal_relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { LIMIT, within } from "../../support/within.ts";

const PRELOAD = "tests/support/relay/die_around_commit.ts";

const json = { "Content-Type": "application/json" };

/** One relay after the other, on one file. */
class World implements AsyncDisposable {
  readonly #folder = new TemporaryFolder();
  #relay: MortalRelay | undefined;
  #url = "";

  async start(die?: string): Promise<void> {
    await this.#relay?.kill("SIGKILL");
    const args = [
      "--port",
      "0",
      "--store",
      `sqlite:${this.#folder.path}/topics.db`,
    ];
    this.#relay = die === undefined
      ? new MortalRelay(args)
      : new MortalRelay(args, { RIVULET_DIE: die }, PRELOAD);
    const url = await within(this.#relay.listening, LIMIT, "a relay to listen");
    if (url === undefined) throw new Error(await this.#relay.ended());
    this.#url = url;
  }

  /** Waits until the relay has ended by itself. */
  async died(): Promise<void> {
    await within(this.#relay!.ended(), LIMIT, "the relay to die"); // it was started
  }

  async post(path: string, body: unknown, key?: string): Promise<Response> {
    return await fetch(this.#url + path, {
      method: "POST",
      headers: { ...json, ...key !== undefined && { "Idempotency-Key": key } },
      body: JSON.stringify(body),
    });
  }

  /** Posts, and returns whether there was an answer. */
  async isAnswered(...request: Parameters<World["post"]>): Promise<boolean> {
    try {
      const response = await this.post(...request);
      await response.body?.cancel();
      return true;
    } catch (error) {
      if (error instanceof TypeError) return false;
      throw error;
    }
  }

  async page(
    name: string,
  ): Promise<
    {
      epoch: string;
      events: { data: string }[];
      end?: { offset: number; status: string };
    }
  > {
    const response = await fetch(`${this.#url}/topics/${name}`, {
      headers: { Accept: "application/json" },
    });
    assertEquals(response.status, 200);
    return await response.json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#relay?.kill("SIGKILL");
    await this.#folder[Symbol.asyncDispose]();
  }
}

for (const when of ["before", "after"] as const) {
  Deno.test(`A publication that its relay dies ${when} the commit of is there once in the end`, async () => {
    await using world = new World();
    await world.start(`${when}:the-mark`);
    const first = await (await world.post("/topics/t", { data: "1" })).json();
    const marked = { data: "the-mark" };
    assertEquals(await world.isAnswered("/topics/t", marked, "k"), false);
    await world.died();
    await world.start();
    const { epoch, events } = await world.page("t");
    assertEquals(epoch, first.epoch);
    assertEquals(
      events.map(({ data }) => data),
      when === "before" ? ["1"] : ["1", "the-mark"],
    );
    // Whoever got no answer asks again.
    const again = await world.post("/topics/t", marked, "k");
    assertEquals(await again.json(), { epoch, first: 2, next: 3 });
    const more = await world.post("/topics/t", { data: "3" });
    assertEquals((await more.json()).first, 3);
    assertEquals(
      (await world.page("t")).events.map(({ data }) => data),
      ["1", "the-mark", "3"],
    );
  });

  Deno.test(`An end that its relay dies ${when} the commit of is the same in the end`, async () => {
    await using world = new World();
    await world.start(`${when}:the-mark`);
    await (await world.post("/topics/t", { data: "1" })).body?.cancel();
    const end = { status: "complete", reason: "the-mark" };
    assertEquals(await world.isAnswered("/topics/t/end", end), false);
    await world.died();
    await world.start();
    const told = await world.page("t");
    assertEquals(told.end?.status, when === "before" ? undefined : "complete");
    const again = await world.post("/topics/t/end", end);
    assertEquals(again.status, 200);
    await again.body?.cancel();
    const { end: last, events } = await world.page("t");
    assertEquals(last, { offset: 2, ...end });
    assertEquals(events.length, 1);
    assert(told.epoch === (await world.page("t")).epoch);
  });
}
