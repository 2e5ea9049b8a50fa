import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { ConnectionLimits } from "../../../relay/limits/connection_limits.ts";
import { propertyParameters } from "../../support/property.ts";

const MAX = 5;
const MAX_OF_ONE = 2;

const networks = ["a", "b", "c"];

const step = fc.record({
  act: fc.constantFrom("add", "add", "addOf", "delete"),
  network: fc.constantFrom(...networks, undefined),
  which: fc.nat(),
});

Deno.test("ConnectionLimits counts as a model does that counts anew each time", () => {
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const limits = new ConnectionLimits({
        maxConnections: MAX,
        maxConnectionsPerAddress: MAX_OF_ONE,
      });
      const there: { network: string | undefined; whole: boolean }[] = [];
      const countOf = (network: string | undefined): number =>
        there.filter((one) => one.network === network).length;
      for (const { act, network, which } of steps) {
        const isFull = network !== undefined && countOf(network) >= MAX_OF_ONE;
        if (act === "delete") {
          const [one] = there.splice(which % (there.length || 1), 1);
          if (one?.whole) limits.delete(one.network);
          else if (one?.network !== undefined) limits.deleteOf(one.network);
        } else if (act === "add") {
          const all = there.filter(({ whole }) => whole).length;
          const problem = limits.add(network);
          assertEquals(
            problem?.code,
            all >= MAX
              ? "too_many_connections"
              : isFull
              ? "too_many_connections_of_address"
              : undefined,
          );
          if (!problem) there.push({ network, whole: true });
        } else if (network !== undefined) {
          const problem = limits.addOf(network);
          assertEquals(problem !== undefined, isFull);
          if (!problem) there.push({ network, whole: false });
        }
        assertEquals(limits.all, there.filter(({ whole }) => whole).length);
        assertEquals(
          limits.networks,
          networks.filter((network) => countOf(network) > 0).length,
          "nothing is kept of who has gone",
        );
      }
    }),
    propertyParameters(1_000),
  );
});
