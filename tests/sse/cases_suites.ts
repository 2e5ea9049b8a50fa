import type { Case } from "./cases.ts";

const BOM = "\ufeff";
const LONG = "x".repeat(2048);

/** The feeds of the Web Platform Tests, `eventsource/format-*` and `event-data`. */
export const wptCases: Case[] = [
  {
    name: "format-bom",
    input: `${BOM}data:1\n\n${BOM}data:2\n\ndata:3\n\n\n`,
    events: ["1", "3"],
  },
  {
    name: "format-bom-2",
    input: `${BOM}${BOM}data:1\n\ndata:2\n\ndata:3\n\n\n`,
    events: ["2", "3"],
  },
  {
    name: "format-comments",
    input:
      `data:1\r:\0\n:\r\ndata:2\n:${LONG}\rdata:3\n:data:fail\r:${LONG}\ndata:4\n\n`,
    events: ["1\n2\n3\n4"],
    comments: ["\0", "", LONG, "data:fail", LONG],
  },
  {
    name: "format-data-before-final-empty-line",
    input: "retry:1000\ndata:test1\n\nid:test\ndata:test2\n",
    events: ["test1"],
    reconnectionTime: 1000,
  },
  {
    name: "format-field-data",
    input: "data:\n\ndata\ndata\n\ndata:test\n\n\n",
    events: ["", "\n", "test"],
  },
  {
    name: "format-field-event",
    input: "event:test\ndata:x\n\ndata:x\n\n\n",
    events: [["x", "test"], "x"],
  },
  {
    name: "format-field-event-empty",
    input: "event: \ndata:data\n\n\n",
    events: ["data"],
  },
  {
    name: "format-field-id",
    input: "id: …\nretry: 200\ndata: hello\n\n",
    events: [["hello", "message", "…"]],
    lastEventId: "…",
    reconnectionTime: 200,
  },
  {
    name: "format-field-id-3",
    input: "id: 1\ndata: 1\n\ndata: 2\n\nid: 2\ndata:3\n\ndata:4\n\n",
    events: [
      ["1", "message", "1"],
      ["2", "message", "1"],
      ["3", "message", "2"],
      ["4", "message", "2"],
    ],
    lastEventId: "2",
  },
  ...["id:", "id"].map((reset): Case => ({
    name: `format-field-id-3, reset by ${reset}`,
    input: `id: 1\ndata: 1\n\n${reset}\ndata:2\n\ndata:3\n\n`,
    events: [["1", "message", "1"], "2", "3"],
  })),
  ...["\0\0", "x\0", "\0x", "x\0x", " \0"].map((id): Case => ({
    name: `format-field-id-null, ${JSON.stringify(id)}`,
    input: `id: ${id}\nretry: 200\ndata: hello\n\n\n`,
    events: ["hello"],
    reconnectionTime: 200,
  })),
  {
    name: "format-field-parsing",
    input:
      "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
    events: ["\0\n 2\n1\n3\n\n4"],
  },
  {
    name: "format-field-retry",
    input: "retry:03000\ndata:x\n\n\n",
    events: ["x"],
    reconnectionTime: 3000,
  },
  {
    name: "format-field-retry-bogus",
    input: "retry:3000\nretry:1000x\ndata:x\n\n\n",
    events: ["x"],
    reconnectionTime: 3000,
  },
  {
    name: "format-field-retry-empty",
    input: "retry\ndata:test\n\n\n",
    events: ["test"],
  },
  {
    name: "format-field-unknown",
    input:
      "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n\n",
    events: ["test\n\ntest"],
    comments: ["thisisacommentyay"],
  },
  {
    name: "format-leading-space",
    input: "data:\ttest\rdata: \ndata:test\n\n\n",
    events: ["\ttest\n\ntest"],
  },
  {
    name: "format-newlines",
    input: "data:test\r\ndata\ndata:test\r\n\r\n",
    events: ["test\n\ntest"],
  },
  {
    name: "format-null-character",
    input: "data:\0\n\n\n\n",
    events: ["\0"],
  },
  { name: "format-utf-8", input: "data:ok…\n\n\n", events: ["ok…"] },
  {
    name: "event-data",
    input:
      "data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
    events: ["msg\nmsg", "", "end"],
    comments: [""],
  },
];

/** LaunchDarkly's inputs, for each of the line ends. */
const lineEndCases: Case[] = [
  { name: "one event", input: "data: a\n\n", events: ["a"] },
  {
    name: "two events",
    input: "data: a\n\ndata: b\n\n",
    events: ["a", "b"],
  },
  {
    name: "all fields",
    input: "event: e\nid: 1\nretry: 5\ndata: a\n\n",
    events: [["a", "e", "1"]],
    lastEventId: "1",
    reconnectionTime: 5,
  },
  {
    name: "several data lines",
    input: "data: a\ndata:\ndata: b\n\n",
    events: ["a\n\nb"],
  },
  {
    name: "comments",
    input: ": c\ndata: a\n:d\n\n:e\n",
    events: ["a"],
    comments: ["c", "d", "e"],
  },
  {
    name: "blank lines",
    input: "\n\ndata: a\n\n\n\ndata: b\n\n",
    events: ["a", "b"],
  },
];

/** LaunchDarkly's `sse-contract-tests`: line feeds, comments, a BOM in parts. */
export const contractCases: Case[] = [
  ...[["LF", "\n"], ["CRLF", "\r\n"], ["CR", "\r"]].flatMap(([name, end]) =>
    lineEndCases.map((item): Case => ({
      ...item,
      name: `${item.name}, lines end in ${name}`,
      // Every input above is text.
      input: (item.input as string).replaceAll("\n", end as string),
    }))
  ),
  {
    name: "an id is overridden by an empty one",
    input: "id: abc\ndata: a\n\nid:\ndata: b\n\n",
    events: [["a", "message", "abc"], "b"],
  },
  {
    name: "fields in reverse order",
    input: "data: a\nid: 1\nevent: e\n\n",
    events: [["a", "e", "1"]],
    lastEventId: "1",
  },
  {
    name: "an extra space",
    input: "event:  e\ndata:  a\n\n",
    events: [[" a", " e"]],
  },
];
