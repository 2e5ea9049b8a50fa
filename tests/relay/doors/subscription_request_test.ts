import { assert, assertEquals, assertThrows } from "@std/assert";
import { Problem } from "../../../relay/problem.ts";
import {
  type ReadingDoor,
  readQuery,
} from "../../../relay/doors/subscription_request.ts";
import { parseClientMessage } from "../../../relay/doors/websocket/client_message.ts";

const EPOCH = "x8Jc0mQ2vLrT";

function query(text: string): URLSearchParams {
  return new URLSearchParams(text);
}

function problemOf(door: ReadingDoor, text: string): [string, string] {
  const problem = assertThrows(() => readQuery(door, query(text)), Problem);
  assertEquals(problem.status, 400);
  return [problem.code, problem.message];
}

Deno.test("readQuery reads what a door takes, and nothing else", () => {
  const all = `after=${EPOCH}:7&limit=5&raw&unknown=1`;
  const after = { epoch: EPOCH, offset: 7 };
  const delivery = "&mode=latest&window=1000&snapshot";
  assertEquals(readQuery("websocket", query(all + delivery)), {
    after,
    mode: "latest",
    window: 1_000,
    snapshot: true,
  });
  assertEquals(readQuery("stream", query(all + "&mode=all")), {
    after,
    raw: true,
  });
  assertEquals(readQuery("page", query(all + delivery)), { after, limit: 5 });
  for (const door of ["websocket", "stream", "page"] as const) {
    assertEquals(readQuery(door, query("")), {});
  }
  assertEquals(readQuery("page", query("after=now&mode=a&mode=b")), {
    after: "now",
  });
});

Deno.test("A stream's Last-Event-ID goes before its query, and is a position of some log", () => {
  for (
    const [id, after] of [
      [`${EPOCH}:8`, { epoch: EPOCH, offset: 8 }],
      ["now", "now"],
      ["42", { epoch: "", offset: 1 }],
      ["", { epoch: EPOCH, offset: 7 }],
    ] as const
  ) {
    const headers = new Headers({ "Last-Event-ID": id });
    const text = `after=${EPOCH}:7`;
    assertEquals(readQuery("stream", query(text), headers), { after }, id);
    assertEquals(readQuery("page", query(text), headers), {
      after: { epoch: EPOCH, offset: 7 },
    });
  }
});

Deno.test("The same mistake is explained in the same words at every door", () => {
  for (
    const [name, text, value, code, doors] of [
      ["after", "x", "x", "invalid_position", ["websocket", "stream", "page"]],
      ["mode", "some", "some", "invalid_mode", ["websocket"]],
      ["window", "many", "many", "invalid_window", ["websocket"]],
      ["snapshot", "yes", "yes", "invalid_snapshot", ["websocket"]],
    ] as const
  ) {
    const explained = new Set<string>();
    for (const door of doors) {
      const [found, detail] = problemOf(door, `${name}=${text}`);
      assertEquals(found, code);
      explained.add(detail);
    }
    const message = JSON.stringify({
      type: "subscribe",
      topic: "t",
      [name]: value,
    });
    const result = parseClientMessage(message);
    assert(result.kind === "refused");
    assertEquals([result.code, result.topic], ["invalid_message", "t"]);
    explained.add(result.reason);
    assertEquals(explained.size, 1, [...explained].join("\n"));
    const [detail = ""] = explained;
    assert(detail.startsWith(`Expected ${name} to be `), detail);
    assert(detail.endsWith(`: got "${value}"`), detail);
  }
});

Deno.test("An event stream refuses by its name what needs a WebSocket", () => {
  for (
    const [name, text] of [
      ["mode", "mode=merge"],
      ["window", "window=1"],
      ["snapshot", "snapshot=false"],
    ] as const
  ) {
    assertEquals(problemOf("stream", text), [
      "unsupported",
      `Expected no ${name} of an event stream: use a WebSocket for it`,
    ]);
    assertEquals(readQuery("page", query(text)), {});
  }
});
