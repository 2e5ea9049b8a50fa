// The record of a name, which many ask for at once.
import { assertEquals, assertRejects } from "@std/assert";
import type {
  Bucket,
  BucketEntry,
} from "../../../../relay/stores/jetstream/bucket.ts";
import { KnownName } from "../../../../relay/stores/jetstream/known_name.ts";

/** A name of a bucket that answers when it is told to, and counts what it is asked. */
function makeName() {
  const asked: PromiseWithResolvers<BucketEntry | undefined>[] = [];
  const puts: string[] = [];
  const bucket = {
    get: () => {
      const answer = Promise.withResolvers<BucketEntry | undefined>();
      asked.push(answer);
      return answer.promise;
    },
    put: (key: string) => Promise.resolve(puts.push(key)),
  } as unknown as Bucket; // it is asked for no more
  const name = new KnownName("t", { bucket, onRecord: () => {} }, 0);
  return { name, asked, puts };
}

/** Lets everything happen that waits for nothing. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("KnownName has all who ask while it is read share the next read", async () => {
  const { name, asked } = makeName();
  const first = name.refresh();
  await settled();
  const others = Array.from({ length: 8 }, () => name.refresh());
  asked[0]!.reject(new Error("NATS is away")); // it was asked for
  await assertRejects(() => first, Error, "away");
  await settled();
  assertEquals(asked.length, 2);
  asked[1]!.reject(new Error("NATS is away")); // it was asked for
  for (const other of others) await assertRejects(() => other, Error, "away");
  assertEquals(asked.length, 2);
});

Deno.test("KnownName reads again after a change that a read does not have", async () => {
  const { name, asked, puts } = makeName();
  const reads = [name.refresh()];
  await settled();
  reads.push(name.refresh());
  const changed = name.change((record) => ({ ...record, gone: ["a"] }));
  reads.push(name.refresh());
  const value = '{"v":1,"logs":[],"gone":["a"]}';
  for (const [at, read] of reads.entries()) {
    await settled();
    assertEquals(puts.length, at < 2 ? 0 : 1);
    const entry = at < 2 ? undefined : { value, revision: 1 };
    asked[at]!.resolve(entry); // it was asked for
    await read;
  }
  await changed;
  assertEquals(asked.length, 3);
});
