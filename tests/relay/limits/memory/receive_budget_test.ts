import { assertEquals, assertThrows } from "@std/assert";
import { ReceiveBudget } from "../../../../relay/limits/memory/receive_budget.ts";
import { Problem } from "../../../../relay/problem.ts";

function budget(): ReceiveBudget {
  return new ReceiveBudget({ maxReceived: 100, maxReceivedPerClient: 60 });
}

function codeOf(refused: () => void): string {
  return assertThrows(refused, Problem).code;
}

Deno.test("A3: ReceiveBudget counts what is held, and forgets clients that hold nothing", () => {
  const bytes = budget();
  {
    using a = bytes.open("a");
    using b = bytes.open("b");
    assertEquals(bytes.clients, 0);
    a.add(10);
    b.add(20);
    a.set(30);
    assertEquals([bytes.received, bytes.clients], [50, 2]);
    b.set(0);
    assertEquals([bytes.received, bytes.clients], [30, 1]);
  }
  assertEquals([bytes.received, bytes.clients], [0, 0]);
});

Deno.test("A3: ReceiveBudget refuses what takes a client beyond its part, and nothing of others", () => {
  const bytes = budget();
  using first = bytes.open("a");
  using second = bytes.open("a");
  using other = bytes.open("b");
  first.add(40);
  second.add(20);
  other.add(20);
  assertEquals(codeOf(() => second.add(1)), "too_many_bytes_of_client");
  assertEquals(codeOf(() => second.add(1)), "too_many_bytes_of_client", "on");
  assertEquals(bytes.received, 60, "it is given up");
  first.add(20);
  other.add(20);
});

Deno.test("A3: ReceiveBudget refuses the largest body of the client that holds most", () => {
  const bytes = budget();
  const refused: string[] = [];
  using small = bytes.open("heavy");
  using large = bytes.open("heavy");
  using light = bytes.open("light");
  for (const [name, account] of Object.entries({ small, large, light })) {
    account.onRefused = ({ code }) => refused.push(`${name} ${code}`);
  }
  small.add(25);
  large.add(30);
  light.add(40);
  assertEquals(refused, []);
  light.add(10);
  assertEquals(refused, ["large out_of_memory"]);
  assertEquals(bytes.received, 75);
  assertEquals(codeOf(() => large.add(1)), "out_of_memory");
});

Deno.test("A3: ReceiveBudget refuses the newcomer where all else has come whole", () => {
  const bytes = budget();
  using kept = bytes.open("a");
  kept.add(60);
  kept.whole();
  using late = bytes.open("b");
  late.add(40);
  assertEquals(codeOf(() => late.add(1)), "out_of_memory");
  assertEquals(bytes.received, 60);
  assertEquals(bytes.dropHeaviest(), undefined, "nothing is being received");
});

Deno.test("A3: ReceiveBudget gives up the heaviest body at the edge of the memory", () => {
  const bytes = budget();
  using small = bytes.open("a");
  using large = bytes.open("b");
  small.add(10);
  large.add(50);
  assertEquals([bytes.dropHeaviest(), bytes.dropHeaviest()], [50, 10]);
  assertEquals(bytes.dropHeaviest(), undefined);
  assertEquals(bytes.received, 0);
});
