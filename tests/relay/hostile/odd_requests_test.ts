// Requests that are wrong in a small way: each is told what was wrong, and nothing is
// taken for what it is not.
import { assert, assertEquals } from "@std/assert";
import { RawHttp, statusesIn } from "../../support/http/raw_http.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";

/** Sends a request, and returns its answer. */
async function ask(
  relay: TestRelay,
  head: readonly string[],
  body = "",
): Promise<{ status: number | undefined; code: unknown }> {
  await using http = await RawHttp.open(relay.url);
  const [first = "", ...fields] = head;
  await http.send(
    [first, "Host: localhost", `Content-Length: ${body.length}`, ...fields]
      .map((line) => `${line}\r\n`).join("") + `\r\n${body}`,
  );
  const [, method] = /^([A-Z]+)/.exec(first) ?? [];
  const answer = await http.answer(method);
  const text = answer?.body ?? "";
  const { code } = text.startsWith("{") ? JSON.parse(text) : {};
  return { status: answer?.status, code };
}

Deno.test("A publication in another encoding than UTF-8 is refused, and nothing is put in place of it", async () => {
  await using relay = await startRelay();
  const wrong = [
    ["text/plain", "caf\xe9"],
    ["text/plain; charset=utf-8", "\xff\xfeh\0i\0"],
    ["application/json", '{"data":"caf\xe9"}'],
    // Half of a character at the end.
    ["text/plain", "caf\xc3"],
  ] as const;
  for (const [type, body] of wrong) {
    const told = await ask(relay, [
      "POST /topics/t HTTP/1.1",
      `Content-Type: ${type}`,
    ], body);
    assertEquals(told, { status: 400, code: "invalid_body" }, type);
  }
  for (const charset of ["latin1", '"UTF-16"', "shift_jis", ""]) {
    const told = await ask(relay, [
      "POST /topics/t HTTP/1.1",
      `Content-Type: text/plain; format=flowed; charset=${charset}`,
    ], "hi");
    assertEquals(told, { status: 415, code: "unsupported_media_type" });
  }
  for (const line of ["PUT /topics/t", "POST /topics/t/end"]) {
    const told = await ask(relay, [
      `${line} HTTP/1.1`,
      "Content-Type: application/json; charset=UTF-16LE",
    ], "{}");
    assertEquals(told, { status: 415, code: "unsupported_media_type" }, line);
  }
  assertEquals(relay.relay.topics.get("t"), undefined);
  for (const charset of ["utf-8", '"UTF-8"', "utf8", "US-ASCII"]) {
    const told = await ask(relay, [
      "POST /topics/t HTTP/1.1",
      `Content-Type: text/plain; charset=${charset}`,
    ], "caf\xc3\xa9");
    assertEquals(told.status, 200, charset);
  }
});

Deno.test("A name that no topic can have is told so by every request", async () => {
  await using relay = await startRelay();
  const requests = [
    "GET /topics/NAME HTTP/1.1\r\nAccept: application/json",
    "GET /topics/NAME HTTP/1.1\r\nAccept: text/event-stream",
    "HEAD /topics/NAME HTTP/1.1",
    "PUT /topics/NAME HTTP/1.1",
    "POST /topics/NAME HTTP/1.1\r\nContent-Type: text/plain",
    "DELETE /topics/NAME HTTP/1.1",
    "POST /topics/NAME/end HTTP/1.1",
    "POST /topics/NAME/cancel HTTP/1.1",
  ];
  const names = [".a", "a%2Fb", "a%00", "%FF", "%", "e%CC%81", "a".repeat(129)];
  for (const request of requests) {
    for (const name of names) {
      const told = await ask(
        relay,
        request.replace("NAME", name).split("\r\n"),
      );
      assertEquals(told.status, 400, `${request} ${name}`);
      if (request.startsWith("HEAD")) continue;
      assertEquals(told.code, "invalid_topic", `${request} ${name}`);
    }
  }
  assertEquals([...relay.relay.topics], []);
});

Deno.test("An Idempotency-Key of a publication has a length", async () => {
  await using relay = await startRelay();
  const statuses = [];
  for (const key of ["", "k", "k".repeat(255), "k".repeat(256)]) {
    const { status } = await ask(relay, [
      "POST /topics/t HTTP/1.1",
      "Content-Type: text/plain",
      `Idempotency-Key: ${key}`,
    ], "hi");
    statuses.push(status);
  }
  assertEquals(statuses, [400, 200, 200, 400]);
});

Deno.test("A request whose length is too short has its answer, and nothing after it has", async () => {
  await using relay = await startRelay();
  const lengths = {
    // The bytes left over are not a request.
    '{"data":"hello"}': [14, 400],
    '[{"data":"a"}]\r\n\r\n}': [14, 200],
  } as const;
  for (const [body, [length, status]] of Object.entries(lengths)) {
    await using http = await RawHttp.open(relay.url);
    await http.send(
      `POST /topics/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`,
    );
    const rest = await http.rest();
    assertEquals(statusesIn(rest), [status], rest);
    assert(/connection: close/i.test(rest), rest);
  }
});

Deno.test("What is asked before an unreadable request is answered, in its order", async () => {
  await using relay = await startRelay();
  await using http = await RawHttp.open(relay.url);
  await http.send(
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n\x16\x03\x01",
  );
  assertEquals(statusesIn(await http.rest()), [200]);
});

Deno.test("A relay is no proxy, and says so", async () => {
  await using relay = await startRelay();
  const connect = await ask(relay, ["CONNECT relay:443 HTTP/1.1"]);
  assertEquals(connect, { status: 405, code: "method_not_allowed" });
});
