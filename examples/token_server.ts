/**
 * A service that knows its users, and gives each a token for the relay: for five minutes,
 * to read the topics of that user and nothing else. The relay has the same key
 * (`--jwt-key-file`).
 *
 * ```sh
 * RIVULET_JWT_KEY=... deno run --allow-net --allow-env token_server.ts
 * ```
 *
 * In the page, give the client a function, which it asks before each connection:
 *
 * ```text
 * const token = () => fetch("/token").then((response) => response.text());
 * subscribe("wss://relay.example.com/topics/user-7-news", { token });
 * ```
 *
 * @module
 */
import { SignJWT } from "jose";

const key = new TextEncoder().encode(Deno.env.get("RIVULET_JWT_KEY"));

/** Returns the id of the user who asks: put your own session in here. */
function userOf(request: Request): string | undefined {
  const [, user] =
    /^session=(\d+)$/.exec(request.headers.get("Cookie") ?? "") ?? [];
  return user;
}

Deno.serve({
  port: Number(Deno.args[0] ?? 8080),
  onListen: ({ port }) => console.log(`Tokens at http://localhost:${port}`),
}, async (request) => {
  const user = userOf(request);
  if (user === undefined) return new Response("Log in first", { status: 401 });
  const token = await new SignJWT({
    rivulet: { read: [`user-${user}-*`] },
    sub: user,
  }).setProtectedHeader({ alg: "HS256" }).setExpirationTime("5m").sign(key);
  return new Response(token, { headers: { "Cache-Control": "no-store" } });
});
