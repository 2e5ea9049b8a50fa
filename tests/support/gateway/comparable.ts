/**
 * The output of a client, as plain data that can be compared.
 *
 * @module
 */

/**
 * Headers that belong to one connection or one moment, and those in which the
 * relay speaks for itself.
 */
const PASSING =
  /^(connection|content-security-policy|date|keep-alive|link|rivulet-.*|transfer-encoding|vary|x-accel-buffering|x-content-type-options)$/;

/** The fields in a client's output that belong to one process or one moment. */
const UNSTABLE_FIELDS: ReadonlySet<string> = new Set([
  "stack",
  // The fields in which `ai` puts its measurements, and the names of its steps.
  "performance",
  "callId",
]);

/** The random id that `ai` gives to a response without one. */
const MADE_UP_ID = /^(aitxt)-[A-Za-z0-9]{24}$/;

/** The port that a request was made from. */
const LOCAL_PORT = /from 127\.0\.0\.1:[0-9]+/;

/** In milliseconds; what the hostile provider says of the time is older, or to come. */
const DAY = 86_400_000;

function isRecord(value: object): value is Record<string, unknown> {
  return !Array.isArray(value);
}

function headersOf(headers: Iterable<readonly [string, string]>) {
  return Object.fromEntries(
    [...headers].filter(([name]) => !PASSING.test(name)),
  );
}

/** The fields of an error that are not found by going through it. */
function errorFields(error: Error): Record<string, unknown> {
  const { message, cause } = error;
  return { message, ...cause !== undefined && { cause } };
}

/**
 * Makes plain data of whatever a client has given: errors with their classes,
 * messages and causes; headers without those of the connection; functions not at
 * all. Where something came from is written as `ORIGIN`.
 *
 * @param value What was given.
 * @param origin Where it came from: `http://127.0.0.1:PORT`, with a path or without.
 */
export function comparable(value: unknown, origin: string): unknown {
  const seen = new Set<object>();
  const { host, origin: root } = new URL(origin);
  const text = (value: string): string =>
    value.replaceAll(origin, "ORIGIN").replaceAll(root, "ORIGIN")
      .replaceAll(host, "HOST")
      .replace(LOCAL_PORT, "from HERE").replace(MADE_UP_ID, "$1-ID");
  const walk = (value: unknown): unknown => {
    if (typeof value === "string") return text(value);
    if (typeof value === "function" || typeof value === "symbol") {
      return undefined;
    }
    if (typeof value !== "object" || value === null) return value;
    if (seen.has(value)) return "(seen above)";
    seen.add(value);
    try {
      if (value instanceof Date) {
        return Math.abs(Date.now() - value.getTime()) < DAY
          ? "NOW"
          : value.toISOString();
      }
      if (value instanceof Headers) return headersOf(value);
      if (value instanceof Response) {
        const { status, url, headers } = value;
        return { status, url: text(url), headers: headersOf(headers) };
      }
      if (value instanceof Uint8Array) return [...value];
      if (!isRecord(value)) return (value as unknown[]).map(walk); // it is no record
      const entries = Object.entries(value).filter(([name]) =>
        !UNSTABLE_FIELDS.has(name) && !PASSING.test(name)
      );
      const fields = Object.fromEntries(
        entries.map(([name, value]) => [name, walk(value)]),
      );
      if (!(value instanceof Error)) return fields;
      return {
        class: value.constructor.name,
        ...fields,
        ...walk(errorFields(value)) as object, // it is given an object
      };
    } finally {
      seen.delete(value);
    }
  };
  return walk(value);
}
