// The credentials of relays at NATS, and the messages when a permission is
// missing.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { createRelay, RelayStartError } from "../../../../relay/mod.ts";
import { makeCertificates } from "../../../support/gateway/foreign/certificates.ts";
import {
  makeAccounts,
  makeUserKey,
} from "../../../support/nats/nats_accounts.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { startRelay } from "../../../support/relay/relay.ts";

const ignore = lacksNats();

/** The credentials that a server accepts, and those that it refuses. */
interface Case {
  readonly config: string;
  /** The addresses behind which everything works, for the host of the server. */
  readonly let: readonly ((host: string) => string)[];
  /** Those that are refused, and words that say why. */
  readonly refused: readonly (readonly [(host: string) => string, RegExp])[];
}

async function casesIn(folder: string): Promise<Record<string, Case>> {
  const key = makeUserKey();
  const other = makeUserKey();
  const accounts = makeAccounts();
  await makeCertificates(folder);
  await Deno.writeTextFile(`${folder}/user.nk`, `${key.seed}\n`);
  await Deno.writeTextFile(`${folder}/other.nk`, other.seed);
  await Deno.writeTextFile(`${folder}/user.creds`, accounts.credentials);
  await Deno.writeTextFile(
    `${folder}/other.creds`,
    makeAccounts().credentials,
  );
  const unknown = /does not know the relay: check the credentials/;
  const ca = `ca=${folder}/ca.pem`;
  const own = `cert=${folder}/site.pem&key=${folder}/site.key`;
  const local = (host: string): string =>
    host.replace("127.0.0.1", "localhost");
  const values = ["topics", "leases", "values"]
    .map((name) => `"$KV.rivulet_${name}.>"`).join();
  // As docs/cluster.md has them.
  const rights =
    `publish: ["rivulet.>", ${values}, "$JS.API.>", "$JS.FC.>", "_INBOX.>"], subscribe: ["rivulet.>", "_INBOX.>"]`;
  return {
    "a user and a password": {
      config:
        `authorization { users: [ { user: u, password: "p@ss/word", permissions: { ${rights} } } ] }`,
      let: [(host) => `nats://u:p%40ss%2Fword@${host}`],
      refused: [
        [(host) => `nats://u:secret-word@${host}`, unknown],
        [(host) => `nats://${host}`, unknown],
      ],
    },
    "a token": {
      config: `authorization { token: "t-o-k-e-n" }`,
      let: [(host) => `nats://t-o-k-e-n@${host}`],
      refused: [[(host) => `nats://secret-word@${host}`, unknown]],
    },
    "an NKEY": {
      config: `authorization { users: [ { nkey: ${key.name} } ] }`,
      let: [(host) => `nats://${host}?nkey=${folder}/user.nk`],
      refused: [
        [(host) => `nats://${host}?nkey=${folder}/other.nk`, unknown],
        [
          (host) => `nats://${host}?nkey=${folder}/none`,
          /Cannot read '.*none'/,
        ],
        [(host) => `nats://${host}?nkey=${folder}/ca.pem`, /ca\.pem/],
      ],
    },
    "a credentials file": {
      config: accounts.config,
      let: [(host) => `nats://${host}?creds=${folder}/user.creds`],
      refused: [
        [(host) => `nats://${host}?creds=${folder}/other.creds`, unknown],
        [(host) => `nats://${host}?creds=${folder}/ca.pem`, /ca\.pem/],
      ],
    },
    "TLS": {
      config:
        `tls { cert_file: "${folder}/site.pem", key_file: "${folder}/site.key" }`,
      let: [(host) => `tls://${local(host)}?${ca}`],
      refused: [
        [(host) => `tls://${local(host)}`, /over TLS .*certificate/],
        [(host) => `tls://${local(host)}?ca=${folder}/none`, /none/],
      ],
    },
    "certificates of both sides": {
      config:
        `tls { cert_file: "${folder}/site.pem", key_file: "${folder}/site.key", ca_file: "${folder}/ca.pem", verify: true }`,
      let: [(host) => `tls://${local(host)}?${ca}&${own}`],
      refused: [[(host) => `tls://${local(host)}?${ca}`, /certificate/]],
    },
    "a user who may not make streams": {
      config:
        `authorization { users: [ { user: u, password: p, permissions: { publish: ["rivulet.>"], subscribe: [">"] } } ] }`,
      let: [],
      refused: [[
        (host) => `nats://u:p@${host}`,
        /does not let the relay publish to '\$JS\.API\..*': give its user the rights/,
      ]],
    },
    "a user who may not hear of other relays": {
      config:
        `authorization { users: [ { user: u, password: p, permissions: { publish: [">"], subscribe: ["_INBOX.>", "rivulet.live.>"] } } ] }`,
      let: [],
      refused: [[
        (host) => `nats://u:p@${host}`,
        /does not let the relay subscribe to 'rivulet\.beat': give its user the rights/,
      ]],
    },
  };
}

Deno.test({
  name: "A relay proves to NATS who it is in each way that --store has",
  ignore,
  async fn(t) {
    const folder = await Deno.makeTempDir();
    const cases = await casesIn(folder);
    for (
      const [name, { config, let: letIn, refused }] of Object.entries(cases)
    ) {
      await t.step(name, async () => {
        await using server = await NatsServer.start({ config });
        for (const address of letIn) {
          await using relay = await startRelay({ store: address(server.host) });
          const kept = await relay.request("/topics/t", {
            method: "POST",
            headers: { "Content-Type": "text/plain" },
            body: "a",
          });
          assertEquals(kept.status, 200, await kept.text());
          const read = await relay.request("/topics/t", {
            headers: { Accept: "application/json" },
          });
          assertEquals((await read.json()).events.length, 1);
        }
        for (const [address, words] of refused) {
          const relay = createRelay({ port: 0, store: address(server.host) });
          const error = await assertRejects(
            () => relay.listen(),
            RelayStartError,
          );
          assert(words.test(error.message), error.message);
          assert(!error.message.includes("secret-word"), error.message);
        }
      });
    }
    await Deno.remove(folder, { recursive: true });
  },
});
