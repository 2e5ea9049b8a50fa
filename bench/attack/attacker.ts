/**
 * The attacker of the attack bench, a process of its own: `attacker.ts NAME PORT`.
 * It attacks until it is killed.
 *
 * @module
 */
import { ATTACKS } from "./attacks.ts";

const [name, port] = Deno.args;
const attack = ATTACKS.find((attack) => attack.name === name);
if (!attack) throw new Error(`There is no attack '${name}'`);
console.log("ready");
// The input ends when the bench is gone.
void Deno.stdin.readable.pipeTo(new WritableStream()).then(() => Deno.exit());
await attack.run(Number(port));
await new Promise(() => setInterval(() => {}, 60_000)); // what is open stays open
