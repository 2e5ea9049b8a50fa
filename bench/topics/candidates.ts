import { startRelay } from "../fanout/servers/relay.ts";
import type { Missing } from "../fanout/servers/server.ts";
import { haproxy } from "../proxies/haproxy.ts";
import { nginx } from "../proxies/nginx.ts";
import type { Proxy } from "../proxies/proxy.ts";
import type { Options } from "./options.ts";

/** One that is measured. */
export type Candidate =
  & Pick<Proxy, "name" | "title">
  & (
    | { readonly kind: "relay" | "proxy"; readonly start: Proxy["start"] }
    /** Nothing stands between: what the generator itself adds. */
    | { readonly kind: "direct" }
  );

function relay(module: string, v8Flags: string): Candidate {
  const start = ({ core, upstream }: Parameters<Proxy["start"]>[0]) =>
    startRelay(module, v8Flags, { core }, [
      "--provider",
      `bench=http://127.0.0.1:${upstream}/v1`,
    ]);
  const title = `relay ${module} (Deno ${Deno.version.deno}${
    v8Flags === "" ? "" : `, ${v8Flags}`
  })`;
  return { kind: "relay", name: module, title, start };
}

/** Looks for what is to be measured, and makes it ready to be started. */
export async function findCandidates(
  { relays, beside, v8Flags }: Pick<Options, "relays" | "beside" | "v8Flags">,
  folder: string,
): Promise<(Candidate | Missing)[]> {
  const found: (Candidate | Missing)[] = relays.map((module) =>
    relay(module, v8Flags)
  );
  for (const name of beside) {
    if (name === "direct") {
      found.push({ kind: "direct", name, title: "direct calls" });
      continue;
    }
    const find = name === "nginx" ? nginx : haproxy;
    const proxy = await find(`${folder}/${name}`);
    found.push("why" in proxy ? proxy : { ...proxy, kind: "proxy" });
  }
  return found;
}
