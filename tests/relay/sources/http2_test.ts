// Sources whose server speaks HTTP/2 alone: each event once, however their streams are over
// (field.md C4). The server is Node's own.
import { assertEquals } from "@std/assert";
import { makeCertificates } from "../../support/gateway/foreign/certificates.ts";
import { ForeignServer } from "../../support/gateway/foreign/foreign_server.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";
import { LIMIT, until } from "../../support/within.ts";

/** As the server has them: by END_STREAM, RST_STREAM, GOAWAY, or nothing of these. */
const ENDS = [
  "END_STREAM",
  "NO_ERROR",
  "INTERNAL_ERROR",
  "CANCEL",
  "GOAWAY",
  "closed",
  "destroyed",
];

Deno.test("A source over HTTP/2 has each event once, however its streams are over (C4)", async (t) => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(
    await Deno.makeTempDir(),
    (folder) => Deno.remove(folder, { recursive: true }),
  );
  await makeCertificates(folder);
  await using server = await ForeignServer.http2(
    `${folder}/site.key`,
    `${folder}/site.pem`,
  );
  await using relay = await RelayCommand.start({
    args: ENDS.flatMap((end) => [
      "--source",
      `${end}=https://localhost:${server.port}/events?end=${end}`,
    ]),
    env: { DENO_CERT: `${folder}/ca.pem` },
  });
  for (const end of ENDS) {
    await t.step(`by ${end}`, async () => {
      const page = await until(
        async () => {
          const response = await fetch(`${relay.url}/topics/${end}`, {
            headers: { accept: "application/json" },
          });
          const page = await response.json();
          return page.end ? page : undefined;
        },
        LIMIT,
        "the end of the topic",
      );
      assertEquals(
        page.events,
        ["1", "2", "3", "4", "5", "6"].map((id) => ({
          data: `${id} of 2.0`,
          id,
        })),
      );
      // 204 says that there is nothing more.
      assertEquals(page.end.status, "complete");
    });
  }
});
