/**
 * A relay that shares its port with others: `sharing_relay.ts OPTIONS`, which are those of
 * `createRelay`, as JSON.
 *
 * @module
 */
import { createRelay } from "../../relay/mod.ts";

const options = JSON.parse(Deno.args[0] ?? "{}");
const relay = createRelay({ ...options, reusePort: true });
const { url } = await relay.listen();
console.log(`Relay on ${url}`);
