import { flagsOf, startRelay } from "../fanout/servers/relay.ts";
import type { Missing } from "../fanout/servers/server.ts";
import { bare } from "./bare.ts";
import { haproxy } from "./haproxy.ts";
import { nginx } from "./nginx.ts";
import type { Proxy } from "./proxy.ts";

/** The candidates that can be measured beside relays. */
export const OTHERS = ["nginx", "haproxy", "bare", "direct"] as const;

/** The name of one of {@linkcode OTHERS}. */
export type Beside = typeof OTHERS[number];

/**
 * Reads such a name.
 *
 * @throws {RangeError} If it is none.
 */
export function otherOf(name: string): Beside {
  const found = OTHERS.find((other) => other === name);
  if (found) return found;
  throw new RangeError(`Expected of ${OTHERS.join()}: got '${name}'`);
}

/** The relays to measure, and the candidates beside them. */
export interface CandidateOptions {
  /** The main modules of the relays. */
  readonly relays: readonly string[];
  readonly beside: readonly Beside[];
  /** Flags of V8 that the relays are started with. */
  readonly v8Flags: string;
}

/** One that is measured. */
export type Candidate =
  & Pick<Proxy, "name" | "title">
  & (
    | { readonly kind: "relay" | "proxy"; readonly start: Proxy["start"] }
    /** Has topics and followers as a relay has, and does nothing else. */
    | { readonly kind: "floor"; readonly start: Proxy["start"] }
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
  { relays, beside, v8Flags }: CandidateOptions,
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
    if (name === "bare") {
      found.push({ ...bare(flagsOf(v8Flags)), kind: "floor" });
      continue;
    }
    const find = name === "nginx" ? nginx : haproxy;
    const proxy = await find(`${folder}/${name}`);
    found.push("why" in proxy ? proxy : { ...proxy, kind: "proxy" });
  }
  return found;
}

/** Writes what is measured as a list, with what is not there. */
export function titles(candidates: readonly (Candidate | Missing)[]): string {
  return candidates.map((candidate) =>
    "why" in candidate
      ? `- without ${candidate.name}: ${candidate.why}`
      : `- ${candidate.title}`
  ).join("\n");
}
