import { assert, assertEquals } from "@std/assert";
import {
  findMemoryLimit,
  type MemorySystem,
} from "../../../../relay/limits/memory/memory_limit.ts";

const GIB = 1024 ** 3;

function system(
  files: Readonly<Record<string, string>>,
  total?: number,
): MemorySystem {
  return { readText: (path) => files[path], total: () => total };
}

Deno.test("findMemoryLimit finds the limit of the container, or the memory of the machine", async (t) => {
  const root = "/sys/fs/cgroup";
  const cases: Readonly<Record<string, [MemorySystem, number, string]>> = {
    "nothing can be asked": [system({}), 2 * GIB, "assumption"],
    "no container": [system({}, 24 * GIB), 24 * GIB, "machine"],
    "version 2, without a limit": [
      system({ [`${root}/memory.max`]: "max\n" }, 24 * GIB),
      24 * GIB,
      "machine",
    ],
    "version 2": [
      system({ [`${root}/memory.max`]: `${GIB}\n` }, 24 * GIB),
      GIB,
      "container",
    ],
    "version 2, a unit of systemd": [
      system({
        "/proc/self/cgroup": "0::/system.slice/rivulet.service\n",
        [`${root}/system.slice/rivulet.service/memory.max`]: "max\n",
        [`${root}/system.slice/memory.max`]: `${3 * GIB}\n`,
        [`${root}/memory.max`]: `${5 * GIB}\n`,
      }, 24 * GIB),
      3 * GIB,
      "container",
    ],
    "version 1, without a limit": [
      system({
        [`${root}/memory/memory.limit_in_bytes`]: "9223372036854771712\n",
      }, 24 * GIB),
      24 * GIB,
      "machine",
    ],
    "version 1": [
      system({
        "/proc/self/cgroup": "5:cpu:/a\n4:memory:/docker/a\n0::/\n",
        [`${root}/memory/docker/a/memory.limit_in_bytes`]: `${GIB}\n`,
      }),
      GIB,
      "container",
    ],
    "a limit beyond the machine": [
      system({ [`${root}/memory.max`]: `${30 * GIB}\n` }, 24 * GIB),
      24 * GIB,
      "machine",
    ],
    "no number": [
      system({ [`${root}/memory.max`]: "\n", "/proc/self/cgroup": "x" }, GIB),
      GIB,
      "machine",
    ],
  };
  for (const [name, [system, bytes, from]] of Object.entries(cases)) {
    await t.step(name, () => {
      assertEquals(findMemoryLimit(system), { bytes, from } as never);
    });
  }
  assert(findMemoryLimit().bytes > 0);
});
