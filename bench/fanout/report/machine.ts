/** The processor, its cores, and the day. */
export function machine(day: string): string {
  return `${processor()}, ${navigator.hardwareConcurrency} cores, ${kernel()}, ${day}`;
}

function processor(): string {
  try {
    const [, model = "?"] = /^model name\s*: (.*)$/m
      .exec(Deno.readTextFileSync("/proc/cpuinfo")) ?? [];
    return model.trim();
  } catch {
    return Deno.build.arch;
  }
}

/** Its name and the numbers of its version: what follows may name the machine's owner. */
function kernel(): string {
  const [version = ""] = /^[0-9]+(\.[0-9]+)*/.exec(Deno.osRelease()) ?? [];
  return `${Deno.build.os} ${version}`.trim();
}
