import { assert } from "@std/assert";
import { bundleClient } from "../../support/client/client_bundle.ts";

/** What the library may weigh, in bytes. */
const LIMIT = 4_300;

Deno.test("the client is about 4 KB, minified and gzipped", async () => {
  const code = await bundleClient("library");
  const zipped = new Blob([code]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  const size = (await new Response(zipped).bytes()).length;
  console.log(`relay/client: ${size} bytes (${code.length} minified)`);
  assert(size < LIMIT, `${size}`);
});
