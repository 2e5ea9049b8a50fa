// A subscriber's library of each version that was released follows the relay of now, and
// the library of now follows what a relay of each version said (PROTOCOL.md, section 8).
import { assert, assertEquals } from "@std/assert";
import { subscribe, SubscriptionError } from "../../../relay/client/mod.ts";
import { VERSION } from "../../../src/version.ts";
import type {
  ClientProgramResult,
  ClientProgramUrls,
} from "../../support/client/client_program.ts";
import {
  ClientWorld,
  EXPECTED,
  isWhole,
} from "../../support/client/client_world.ts";
import { ScriptedRelay } from "../../support/client/scripted_relay.ts";

/** Each was kept by fixtures/versions/make.ts. */
const folder = new URL("../../../fixtures/versions/", import.meta.url);

/** The versions that were kept. */
const VERSIONS = [...Deno.readDirSync(folder)]
  .flatMap(({ name }) => /^client_(.+)\.txt$/.exec(name)?.[1] ?? []).sort();

/** The exports of a kept program. */
interface Program {
  runClientProgram(urls: ClientProgramUrls): Promise<ClientProgramResult>;
}

Deno.test("The version that this is has been kept", () => {
  assert(VERSIONS.includes(VERSION), "deno run -A fixtures/versions/make.ts");
});

for (const version of VERSIONS) {
  Deno.test(`the client of ${version} follows the relay of now`, async () => {
    const code = await Deno.readTextFile(
      new URL(`client_${version}.txt`, folder),
    );
    const program: Program = await import(
      `data:text/javascript,${encodeURIComponent(code)}`
    );
    await using world = await ClientWorld.start();
    const { flaky, ...rest } = await program.runClientProgram(world.urls);
    assertEquals(rest, EXPECTED);
    assert(isWhole(flaky), `${flaky}`);
  });

  Deno.test(`the client of now follows the relay of ${version}`, async () => {
    const topics: Record<string, string[]> = JSON.parse(
      await Deno.readTextFile(new URL(`relay_${version}.json`, folder)),
    );
    await using relay = await ScriptedRelay.start();
    relay.onConnection = (connection) => {
      const name = connection.path.replace("/topics/", "");
      for (const message of topics[name] ?? []) connection.sayRaw(message);
    };
    const seen: string[] = [];
    const whole = subscribe(`${relay.url}/topics/whole`);
    for await (const message of whole) {
      if (message.type === "event") {
        seen.push(`${message.event} ${message.data}`);
      }
    }
    assertEquals(seen, EXPECTED.whole);
    assertEquals(whole.end, { status: "complete" });
    const failed = await subscribe(`${relay.url}/topics/failed`).next()
      .catch((error) => error);
    assert(failed instanceof SubscriptionError);
    const { code, status, reason } = failed;
    assertEquals({ code, status, reason }, EXPECTED.failed);
  });
}
