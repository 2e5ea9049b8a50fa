/** The token: in this variable, and nowhere else. */
let token = "";

/** Takes a token, or none. */
export function useToken(text: string): void {
  // As people paste it.
  token = text.trim().replace(/^(authorization: *)?bearer +/i, "");
}

/** Whether there is a token. */
export function hasToken(): boolean {
  return token !== "";
}

/**
 * Returns the subprotocols that a WebSocket offers. The token is one of them,
 * as browsers set no headers.
 */
export function protocols(): string[] {
  const encoded = btoa(token).replaceAll("+", "-").replaceAll("/", "_")
    .replace(/=+$/, "");
  return ["rivulet.v1", ...token ? [`bearer.${encoded}`] : []];
}

/** A refusal of the relay (RFC 9457). */
export class Refusal extends Error {
  readonly code: string | undefined;
  readonly reason: string | undefined;

  constructor(
    readonly status: number,
    { code, detail, reason }: Readonly<Record<string, string>>,
    /** The time after which to ask again, in milliseconds. */
    readonly retryIn?: number,
  ) {
    super(detail ?? `The relay answered with status ${status}`);
    this.code = code;
    this.reason = reason;
  }
}

/** Makes the URL of a path of the relay, which may be below one of a proxy. */
export function urlOf(path: string): URL {
  return new URL(path, location.href.replace(/[?#].*$/s, ""));
}

/**
 * Asks the relay.
 *
 * @throws {Refusal} If it does not answer with success; by rejecting.
 */
export async function ask(
  path: string,
  init: RequestInit & { headers?: Record<string, string> },
): Promise<Response> {
  const response = await fetch(urlOf(path), {
    ...init,
    headers: {
      ...init.headers,
      ...token && { Authorization: `Bearer ${token}` },
    },
    credentials: "omit",
  });
  if (response.ok) return response;
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // A proxy's, perhaps: the status has to do.
  }
  throw new Refusal(response.status, problem);
}

/**
 * Whether the token has the right to cancel a topic, as far as it says itself: the
 * relay decides.
 */
export function mayCancel(topic: string): boolean {
  if (!token) return true;
  try {
    const [, payload = ""] = token.split(".");
    const { rivulet } = JSON.parse(
      atob(payload.replaceAll("-", "+").replaceAll("_", "/")),
    );
    const patterns: readonly string[] = rivulet.cancel ?? [];
    return rivulet.admin === true ||
      patterns.some((pattern) =>
        new RegExp(
          `^${
            pattern.split("*")
              .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
              .join(".*")
          }$`,
        ).test(topic)
      );
  } catch {
    return false;
  }
}
