/**
 * Run by `permissions_test.ts` with the permissions that the test gives: prints
 * what becomes of a response.
 *
 * @module
 */
import {
  ModelClient,
  ModelError,
  providers,
  user,
} from "../../src/model/mod.ts";

const [fixture, apiKey] = Deno.args;
let requests = 0;
const client = new ModelClient({
  model: "m",
  provider: { ...providers.openai, ...(apiKey ? { apiKey } : {}) },
  ...(fixture ? { fixture } : {}),
  fetch: (input) => {
    requests++;
    console.log(String(input));
    return Promise.resolve(new Response("no more today", { status: 404 }));
  },
});
try {
  const stream = await client.stream({ input: [user("Hello")] });
  console.log((await stream.final()).status);
} catch (error) {
  if (!(error instanceof ModelError)) throw error;
  console.log(`${error.name}: ${error.message}`);
}
console.log(requests);
