import type { CommandOptions } from "../options/schema.ts";
import type { RelayAddress } from "../relay.ts";

const CLI = "deno run -A jsr:@rivulet/rivulet/cli";

const TOKEN_HEADER = "'Authorization: Bearer TOKEN'";

/**
 * Writes the text that the command line prints when the relay listens: the URLs of
 * its page and of its topics, commands to try them, and whether tokens are required.
 *
 * @param own A topic that is in no option.
 */
export function banner(
  { url }: RelayAddress,
  options: CommandOptions,
  own?: string,
): string {
  const topics = [...options.sources, ...options.fixtures]
    .map(({ name }) => name);
  if (own !== undefined) topics.unshift(own);
  const { jwtKey, jwks, insecureOpen } = options.rights;
  const asksForTokens = jwtKey !== undefined || jwks !== undefined;
  const [first] = topics;
  const page = options.page ? `${url}/` : undefined;
  return [
    ...own !== undefined && page !== undefined ? [`Look at it: ${page}`] : [],
    `Rivulet relay on ${url}`,
    ...own === undefined && page !== undefined ? [`  page       ${page}`] : [],
    ...topics.flatMap((topic) => describeTopic(url, topic)),
    ...first === undefined
      ? []
      : asksForTokens
      ? tryWithToken(url, first)
      : tryTopic(url, first),
    ...options.gateway.providers.flatMap(({ name, key }, index) => [
      "",
      `provider ${name}`,
      ...baseUrls(url, name, index === 0),
      `  key        ${key === undefined ? "the caller's" : "the relay's"}`,
    ]),
    ...options.chats.flatMap(({ name, url: route }) => [
      "",
      `chat ${name}`,
      `  useChat    ${url}/chat/${name} (the api of its transport)`,
      `  asks       ${route}`,
    ]),
    "",
    "Ctrl-C stops it; a second one stops it at once.",
    asksForTokens
      ? "Tokens are required."
      : insecureOpen
      ? "Everybody who reaches the relay can read and write every topic."
      : "Only this machine can reach the relay, as no key is configured.",
  ].join("\n");
}

/** The base URLs for SDKs: Anthropic's put the version behind it themselves. */
function baseUrls(
  url: string,
  name: string,
  isFirst: boolean,
): readonly string[] {
  return name === "anthropic"
    ? [
      `  base URL   ${url}/${name} (ANTHROPIC_BASE_URL)`,
      `             ${url}/${name}/v1 for SDKs that add no version`,
    ]
    : [`  base URL   ${url}/${name}/v1${isFirst ? `, or ${url}/v1` : ""}`];
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
    `  ${CLI} token --read ${topic} --ttl 1h`,
    `  npx --yes wscat@6.1.0 --header ${TOKEN_HEADER} -c ${ws}/topics/${topic}`,
    `  websocat --header ${TOKEN_HEADER} ${ws}/topics/${topic}`,
    `  curl -N --header ${TOKEN_HEADER} ${url}/topics/${topic}`,
  ];
}
