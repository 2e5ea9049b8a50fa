// A relay that is killed among those who publish, subscribe and make runs: see crash.ts.
// `deno task test:crash` goes on for longer, with more of them.
import { assert } from "@std/assert";
import { seedOf } from "../support/property.ts";
import { CANNOT_MOUNT, SmallDisk } from "../support/relay/small_disk.ts";
import { TemporaryFolder } from "../support/relay/sqlite_world.ts";
import { runCrash } from "./crash.ts";
import { runRenewals } from "./renewals.ts";

Deno.test("Relay keeps what it has said, however often it is killed", async () => {
  const result = await runCrash({
    seed: seedOf("crash_test.ts"),
    kills: 24,
    signals: "both",
    sync: "full",
    repetition: "key",
    publishers: 10,
    sources: 4,
    callers: 4,
    followers: 30,
  });
  console.log(JSON.stringify(result));
  // Things that did not happen were not tried.
  const { acknowledged, repeated, resumed, sourcesResumed, ends } = result;
  const { responsesResumed } = result;
  const { complete = 0, truncated = 0 } = ends;
  for (
    const happened of [
      acknowledged,
      repeated,
      resumed,
      sourcesResumed,
      responsesResumed,
      complete,
      truncated,
    ]
  ) assert(happened > 0, `Too little has happened: ${JSON.stringify(result)}`);
});

Deno.test("Relay keeps what it has said, however often its disk is full", {
  ignore: CANNOT_MOUNT,
}, async () => {
  await using folder = new TemporaryFolder();
  using disk = SmallDisk.mount(folder.path, "size=64m");
  if (!disk) return;
  const result = await runCrash({
    seed: seedOf("crash_test.ts, full"),
    kills: 3,
    signals: "SIGKILL",
    sync: "full",
    repetition: "key",
    disk,
    publishers: 6,
    sources: 2,
    callers: 3,
    followers: 14,
  });
  console.log(JSON.stringify(result));
  const { acknowledged, repeated, full } = result;
  assert(acknowledged > 0 && repeated > 0 && full > 0, JSON.stringify(result));
});

Deno.test("Relay keeps every turn of a chat, however often it is killed", async () => {
  const result = await runRenewals({
    seed: seedOf("crash_test.ts, renewals"),
    kills: 4,
    sync: "full",
    chats: 3,
    followers: 3,
  });
  console.log(JSON.stringify(result));
  const { turns, read, resumed } = result;
  assert(turns > 4 && read > 4 && resumed > 0, JSON.stringify(result));
});
