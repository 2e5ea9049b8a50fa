import { assert, assertEquals } from "@std/assert";
import { RawServer } from "../support/http/raw_server.ts";
import { streamOnce } from "../support/fetch/stream_once.ts";

const MIB = 1024 * 1024;

Deno.test("EventStream slows a server down that is faster than its consumer", async () => {
  const EVENTS = 4_096;
  const DATA = "x".repeat(16 * 1024);
  using server = new RawServer();
  let accepted = 0;
  const serve = async () => {
    const connection = await server.stream();
    for (let i = 0; i < EVENTS; i++) {
      await connection.write(`id: ${i}\ndata: ${DATA}\n\n`);
      accepted++;
    }
    connection[Symbol.dispose]();
  };
  const memory = () => {
    const { external, heapUsed } = Deno.memoryUsage();
    return external + heapUsed;
  };
  const atFirst = memory();
  const serving = serve();
  await using events = streamOnce(server.origin);
  assertEquals((await events.next()).value?.id, "0");

  // The server has had its turn, again and again, and got nowhere.
  let before = -1;
  for (let still = 0; still < 20;) {
    still = accepted === before ? still + 1 : 0;
    before = accepted;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const stalledAt = accepted;
  const size = (stalledAt * DATA.length) / MIB;
  assert(size < 32, `${size} MiB of ${EVENTS * DATA.length / MIB} were taken`);
  const grown = (memory() - atFirst) / MIB;
  assert(grown < 24, `${grown} MiB are held`);

  let next = 1;
  for (let batch; (batch = await events.nextBatch());) {
    for (const event of batch) {
      assertEquals(event.id, String(next++));
      assertEquals(event.data.length, DATA.length);
    }
  }
  assertEquals(next, EVENTS);
  await serving;
});
