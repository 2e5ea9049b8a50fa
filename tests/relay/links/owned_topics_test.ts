// The topics of a token count where they live, and not at each edge.
import { assertEquals } from "@std/assert";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";

const rights = { jwtKey: JWT_KEY };

async function authorizationOf(sub: string): Promise<string> {
  return `Bearer ${await mintToken({ sub, read: ["*"], write: ["*"] })}`;
}

Deno.test("A token has --max-topics-per-token topics over all edges, and leaves the room to others", async () => {
  await using parent = await startRelay({
    links: true,
    rights,
    limits: { maxTopicsPerToken: 2, maxTopics: 4 },
  });
  const storeToken = await mintToken({ link: true });
  const options = { store: parent.url, storeToken, rights };
  await using one = await startRelay(options);
  await using two = await startRelay(options);
  const ask = async (
    edge: TestRelay,
    authorization: string,
    name: string,
    init: RequestInit,
  ): Promise<string> => {
    const response = await edge.request(`/topics/${name}`, {
      ...init,
      headers: { ...init.headers, authorization },
    });
    const { code } = await response.json();
    return `${response.status} ${code ?? ""}`.trim();
  };
  const authorization = await authorizationOf("ada");
  const put = { method: "PUT" };
  const post = {
    method: "POST",
    headers: { "Content-Type": "text/plain" },
    body: "x",
  };
  const refused = "429 too_many_topics_of_token";
  assertEquals(await ask(one, authorization, "a", put), "201");
  assertEquals(await ask(two, authorization, "b", post), "200");
  for (const edge of [one, two]) {
    for (let i = 0; i < 5; i++) {
      assertEquals(await ask(edge, authorization, `c-${i}`, put), refused);
      assertEquals(await ask(edge, authorization, `d-${i}`, post), refused);
    }
    await using socket = await RawWebSocket.open(edge.url, "/ws", {
      authorization,
    });
    for (const type of ["subscribe", "publish"]) {
      const events = [{ data: "x" }];
      await socket.say({
        type,
        topic: "e",
        ...type === "publish" && { events },
      });
      const { code } = await socket.message("error");
      assertEquals(code, "too_many_topics_of_token");
    }
  }
  // None of these has left a topic behind.
  const other = await authorizationOf("bob");
  assertEquals(await ask(one, other, "f", put), "201");
  assertEquals(await ask(two, other, "g", post), "200");
});
