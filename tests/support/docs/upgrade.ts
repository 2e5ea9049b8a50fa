/**
 * An upgrade of a service and the way back, while somebody publishes and follows.
 *
 * @module
 */
import { subscribe } from "../../../relay/client/mod.ts";
import { JWT_KEY, mintToken } from "../rights/token.ts";
import { within } from "../within.ts";
import { type Service, ServiceMachine } from "./service.ts";

/** The number of events published to each version. */
const COUNT = 20;

/** The longest that a subscriber is waited for, in milliseconds. */
const LIMIT = 60_000;

/** The result of an upgrade. */
export interface UpgradeResult {
  /** The data of the events that the subscriber got, in order. */
  readonly data: readonly string[];
  /** The data of those that were acknowledged. */
  readonly published: readonly string[];
  /** The epochs that the subscriber saw. */
  readonly epochs: readonly string[];
  /** The notices that the subscriber received besides events. */
  readonly notices: readonly string[];
  /** The status of each relay that was stopped, and what it wrote to stderr. */
  readonly stops: readonly { readonly code: number; readonly stderr: string }[];
  /** The statuses of `/healthz`, `/readyz` and, without a token, `/topics`. */
  readonly answers: readonly number[];
  /** Whether a version could not read the store, and got the copy of before. */
  readonly restored: boolean;
}

/**
 * Upgrades from the first version to the last one, by way of the others.
 *
 * @param versions The versions, each with its checkout; none for this one.
 */
export async function upgrade(
  versions: readonly {
    readonly version: string;
    readonly checkout?: string;
  }[],
): Promise<UpgradeResult> {
  await using machine = await ServiceMachine.create(JWT_KEY);
  const installed = new Set<string>();
  for (const { version, checkout } of versions) {
    if (installed.has(version)) continue;
    await machine.install(version, checkout);
    installed.add(version);
  }
  const token = await mintToken({ read: ["*"], write: ["*"] });
  const published: string[] = [];
  const stops: { code: number; stderr: string }[] = [];
  const answers: number[] = [];
  let restored = false;
  const following = new AbortController();
  let follower: ReturnType<typeof follow> | undefined;
  let service: Service | undefined;
  try {
    for (const { version } of versions) {
      // Before the upgrade, as the page says; not before the way back.
      if (service && installed.size > 0) {
        await machine.backUp();
        installed.clear();
      }
      await machine.use(version);
      if (service) stops.push(await service.stop());
      service = await start(machine, () => restored = true);
      for (const path of ["healthz", "readyz", "topics"]) {
        const response = await fetch(`${service.url}/${path}`);
        await response.body?.cancel();
        answers.push(response.status);
      }
      for (let i = 0; i < COUNT; i++) {
        const data = `${version}: ${i}`;
        await publish(service.url, token, data);
        published.push(data);
      }
      follower ??= follow(service.url, token, following.signal);
    }
    if (!service || !follower) throw new Error("There is no version");
    await publish(service.url, token, "{}", "/end");
    const seen = await within(follower, LIMIT, "the end of the topic");
    stops.push(await service.stop());
    return { ...seen, published, stops, answers, restored };
  } finally {
    following.abort();
    await follower?.catch(() => {});
    await service?.[Symbol.asyncDispose]();
  }
}

/** Starts the service; if the store is of a later version, with the first copy. */
async function start(
  machine: ServiceMachine,
  onRestored: () => void,
): Promise<Service> {
  try {
    return await machine.start();
  } catch (error) {
    if (!String(error).includes("by a later version")) throw error;
    await machine.restore();
    onRestored();
    return await machine.start();
  }
}

async function publish(
  url: string,
  token: string,
  body: string,
  path = "",
): Promise<void> {
  const response = await fetch(`${url}/topics/t${path}`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${token}`,
      "Content-Type": "text/plain",
    },
    body,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
}

async function follow(
  url: string,
  token: string,
  signal: AbortSignal,
): Promise<Pick<UpgradeResult, "data" | "epochs" | "notices">> {
  const data: string[] = [];
  const epochs = new Set<string>();
  const notices: string[] = [];
  const subscription = subscribe(`${url}/topics/t`, {
    after: "start",
    token,
    signal,
    reconnect: { maxTimeout: 250 },
  });
  for await (const message of subscription) {
    if (message.type === "event") {
      data.push(message.data);
      epochs.add(message.position.split(":")[0] ?? "");
    } else {
      notices.push(message.type);
    }
  }
  return { data, epochs: [...epochs], notices };
}
