// The tokens of pages: what they allow, and what nobody can make of them.
import { assertEquals, assertRejects } from "@std/assert";
import { chatTopic, createChatToken } from "../../../relay/chat/server/mod.ts";
import { startRelay } from "../../support/relay/relay.ts";

const KEY = "a secret of the relay that is long enough";

Deno.test("A user's token reads and cancels the user's chats, and does nothing else", async () => {
  await using relay = await startRelay({ rights: { jwtKey: KEY } });
  const pathOf = (user: string) =>
    `/topics/${chatTopic({ chat: "chat", user, id: "7" })}`;
  for (const user of ["ada", "ada-1", "ada:1", "*"]) {
    const name = chatTopic({ chat: "chat", user, id: "7" });
    relay.relay.topics.create(name).append([{ data: "a" }]);
  }
  const statusOf = async (
    token: string,
    path: string,
    method: string,
  ): Promise<number> => {
    const json = { "content-type": "application/json" };
    const response = await relay.request(path, {
      method,
      headers: { authorization: `Bearer ${token}`, ...json },
      ...(method === "POST" && { body: '{"data":"b"}' }),
    });
    await response.body?.cancel();
    return response.status;
  };
  const token = await createChatToken({ key: KEY, user: "ada" });
  assertEquals(await statusOf(token, pathOf("ada"), "HEAD"), 200);
  for (const other of ["ada-1", "ada:1", "*"]) {
    assertEquals(await statusOf(token, pathOf(other), "HEAD"), 403, other);
  }
  assertEquals(await statusOf(token, pathOf("ada"), "POST"), 403);
  assertEquals(await statusOf(token, pathOf("ada"), "DELETE"), 403);
  assertEquals(await statusOf(token, "/metrics", "GET"), 403);
  const star = await createChatToken({ key: KEY, user: "*" });
  assertEquals(await statusOf(star, pathOf("*"), "HEAD"), 200);
  assertEquals(await statusOf(star, pathOf("ada"), "HEAD"), 403);
  // A right to send messages to a chat does not include publishing answers.
  const sender = await createChatToken({ key: KEY, user: "ada", send: true });
  assertEquals(await statusOf(sender, pathOf("ada"), "HEAD"), 200);
  for (const method of ["POST", "PUT", "DELETE"]) {
    assertEquals(await statusOf(sender, pathOf("ada"), method), 403, method);
  }
});

Deno.test("createChatToken refuses a name that stands for others, and a time that is none", async () => {
  for (const chat of ["*", "a:b", "", "a b"]) {
    await assertRejects(
      () => createChatToken({ key: KEY, user: "eve", chat }),
      RangeError,
      "'chat'",
    );
  }
  for (const ttl of [0, -1, NaN, Infinity, 999]) {
    await assertRejects(
      () => createChatToken({ key: KEY, user: "ada", ttl }),
      RangeError,
      "'ttl'",
    );
  }
});
