import type { CommandOptions } from "./options/schema.ts";
import type { RelayAddress } from "./relay.ts";

const TOKEN_HEADER = "'Authorization: Bearer TOKEN'";

/**
 * What the command line says when the relay listens: where its topics are, how
 * to try them, and who may.
 */
export function banner(
  { url }: RelayAddress,
  options: CommandOptions,
): string {
  const topics = [...options.sources, ...options.fixtures]
    .map(({ name }) => name);
  const { jwtKey, jwks, insecureOpen } = options.rights;
  const asksForTokens = jwtKey !== undefined || jwks !== undefined;
  const [first] = topics;
  return [
    `Rivulet relay on ${url}`,
    ...topics.flatMap((topic) => describeTopic(url, topic)),
    ...first === undefined
      ? []
      : asksForTokens
      ? tryWithToken(url, first)
      : tryTopic(url, first),
    ...options.gateway.providers.flatMap(({ name, key }, index) => [
      "",
      `provider ${name}`,
      `  base URL   ${url}/${name}/v1${index === 0 ? `, or ${url}/v1` : ""}`,
      `  key        ${key === undefined ? "the caller's" : "the relay's"}`,
    ]),
    "",
    "Ctrl-C stops it; a second one does so at once.",
    asksForTokens
      ? "Tokens are required."
      : insecureOpen
      ? "Whoever reaches it may read and write every topic."
      : "Only this machine can reach it: no key is configured.",
  ].join("\n");
}

function webSocketOf(url: string): string {
  return url.replace(/^http/, "ws");
}

function describeTopic(url: string, topic: string): readonly string[] {
  return [
    "",
    `topic ${topic}`,
    `  WebSocket  ${webSocketOf(url)}/topics/${topic}`,
    `  SSE        ${url}/topics/${topic}`,
  ];
}

function tryTopic(url: string, topic: string): readonly string[] {
  const ws = webSocketOf(url);
  return [
    "",
    "Try one of these:",
    `  npx --yes wscat@6.1.0 -c ${ws}/topics/${topic}`,
    `  websocat ${ws}/topics/${topic}`,
    `  curl -N ${url}/topics/${topic}`,
    `  and in the console of a page of the relay's own, such as ${url}/healthz:`,
    `  new WebSocket("${ws}/topics/${topic}").onmessage = (e) => console.log(e.data)`,
  ];
}

function tryWithToken(url: string, topic: string): readonly string[] {
  const ws = webSocketOf(url);
  return [
    "",
    "Make a TOKEN, and try one of these:",
    `  deno task token --read ${topic} --ttl 1h`,
    `  npx --yes wscat@6.1.0 --header ${TOKEN_HEADER} -c ${ws}/topics/${topic}`,
    `  websocat --header ${TOKEN_HEADER} ${ws}/topics/${topic}`,
    `  curl -N --header ${TOKEN_HEADER} ${url}/topics/${topic}`,
  ];
}
