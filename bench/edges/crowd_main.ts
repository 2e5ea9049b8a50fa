/**
 * A part of a crowd, in a process of its own: one may have fewer files open than a crowd
 * has subscribers. It is told by lines, each of which is answered with a line:
 * `join COUNT URL`, `move SPREAD URL...`, `count` and `leave`. The answer to `count` is
 * `CONNECTED DONE`, to all others `ok`.
 *
 * @module
 */
import { lines } from "../fanout/lines.ts";
import { Crowd } from "./crowd.ts";

const crowd = new Crowd();

async function act(word: string, args: readonly string[]): Promise<string> {
  const [count = "0", ...urls] = args;
  switch (word) {
    case "join":
      await crowd.join(urls[0] ?? "", Number(count));
      return "ok";
    case "move":
      crowd.moveTo(urls, Number(count));
      return "ok";
    case "leave":
      crowd.leave();
      return "ok";
    default:
      return `${crowd.connected} ${crowd.done}`;
  }
}

for await (const line of lines(Deno.stdin.readable)) {
  const [word = "", ...args] = line.split(" ");
  console.log(await act(word, args));
}
