import { z } from "zod";

/** The address of a cluster's topics, as `--store nats://...` gives it. */
export interface NatsAddress {
  /** The servers, each as `host:port`. */
  readonly servers: readonly string[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  /** The path of a credentials file. */
  readonly credentials: string | undefined;
  /** The path of a file with the seed of an NKEY. */
  readonly nkey: string | undefined;
  /** The files for TLS; `undefined` without it. */
  readonly tls:
    | {
      readonly ca: string | undefined;
      readonly cert: string | undefined;
      readonly key: string | undefined;
    }
    | undefined;
  /** The beginning of all names in NATS. */
  readonly prefix: string;
  /** The number of servers that keep each event. */
  readonly replicas: number;
  /** The most bytes of all logs; -1 for none. */
  readonly maxBytes: number;
}

/** The form of such an address, in words for messages. */
// Not `nkey=FILE`: of an address in a message, values of such names are not shown.
export const NATS_ADDRESS_FORM =
  "nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][,HOST...], or tls:// in its place, with any of these behind a question mark: prefix, replicas (1 to 5), max-bytes, and the files creds, nkey, ca, cert and key";

const SCHEME = /^(nats|tls):\/\/(?:([^@/?]*)@)?([^@/?]+)\/?(?:\?(.*))?$/;

const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?$/;

const MAX_PORT = 65_535;

const file = z.string().min(1).optional();

const query = z.strictObject({
  prefix: z.string().regex(/^[A-Za-z0-9_-]{1,32}$/).default("rivulet"),
  replicas: z.string().regex(/^[1-5]$/).default("1").transform(Number),
  "max-bytes": z.string().regex(/^[0-9]{1,15}$/).default("-1").or(
    z.literal("-1"),
  ).transform(Number),
  creds: file,
  nkey: file,
  ca: file,
  cert: file,
  key: file,
});

/** Whether a text means to be such an address. */
export function isNatsAddress(text: string): boolean {
  return text.startsWith("nats:") || text.startsWith("tls:");
}

/**
 * Reads an address.
 *
 * @returns `undefined` if it is none. Nothing says why: it may have a password.
 */
export function parseNatsAddress(text: string): NatsAddress | undefined {
  const [, scheme, who, hosts = "", search = ""] = SCHEME.exec(text) ?? [];
  if (scheme === undefined) return undefined;
  const servers = hosts.split(",");
  if (!servers.every(isServer)) return undefined;
  const parameters = new URLSearchParams(search);
  const { data } = query.safeParse(Object.fromEntries(parameters));
  if (!data) return undefined;
  const { prefix, replicas, creds, nkey, ca, cert, key } = data;
  const [user, password] = (who ?? "").split(":").map(decode);
  const hasTls = scheme === "tls" || ca !== undefined || cert !== undefined;
  return {
    servers,
    user: password === undefined ? undefined : user,
    password,
    token: password === undefined && user !== "" ? user : undefined,
    credentials: creds,
    nkey,
    tls: hasTls ? { ca, cert, key } : undefined,
    prefix,
    replicas,
    maxBytes: data["max-bytes"],
  };
}

function isServer(text: string): boolean {
  const [, port = "4222"] = HOST.exec(text) ?? [undefined, "0"];
  return Number(port) > 0 && Number(port) <= MAX_PORT;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
