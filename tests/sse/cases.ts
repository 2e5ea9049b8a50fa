/** The events that a stream must give, however it is cut into chunks. */
export interface Case {
  name: string;
  /** The stream, as text to be encoded as UTF-8, or as bytes. */
  input: string | Uint8Array;
  /** The events: data, or data and type, or data, type and id. */
  events: (string | [data: string, event: string, id?: string])[];
  comments?: string[];
  lastEventId?: string;
  reconnectionTime?: number;
}

const BOM = "\ufeff";

/** Bytes as they are written, one for each character. */
function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The cases of `research/sse.md`, section 1a, and some that they suggest. */
export const parseCases: Case[] = [
  {
    name: "joins several data lines by LF",
    input: "data: a\ndata: b\ndata: c\n\n",
    events: ["a\nb\nc"],
  },
  {
    name: "takes LF, CR and CRLF as line ends",
    input: "data: a\r\n\r\ndata: b\r\rdata: c\n\n",
    events: ["a", "b", "c"],
  },
  {
    name: "dispatches the last event of a stream of lone CRs",
    input: "data: a\r\rdata: b\r\r",
    events: ["a", "b"],
  },
  {
    name: "takes LF CR as two line ends",
    input: "data: a\n\rdata: b\n\n",
    events: ["a", "b"],
  },
  {
    name: "takes CRLF LF as two line ends",
    input: "data: a\r\n\ndata: b\r\n\n",
    events: ["a", "b"],
  },
  {
    name: "takes CRLF CR as two line ends",
    input: "data: a\r\n\rdata: b\r\n\r",
    events: ["a", "b"],
  },
  {
    name: "takes CR CRLF as two line ends",
    input: "data: a\r\r\ndata: b\r\r\n",
    events: ["a", "b"],
  },
  {
    name: "mixes line ends within an event",
    input: "data: a\rdata: b\r\ndata: c\ndata: d\r\n\r\n",
    events: ["a\nb\nc\nd"],
  },
  {
    name: "strips one BOM",
    input: `${BOM}data: a\n\n`,
    events: ["a"],
  },
  {
    name: "strips one BOM before a comment",
    input: `${BOM}: c\ndata: a\n\n`,
    events: ["a"],
    comments: ["c"],
  },
  {
    name: "strips one BOM before data without a value",
    input: `${BOM}data\n\n`,
    events: [""],
  },
  {
    name: "strips one BOM before a blank line",
    input: `${BOM}\ndata: a\n\n`,
    events: ["a"],
  },
  {
    name: "strips one BOM of two",
    input: `${BOM}${BOM}data: a\n\ndata: b\n\n`,
    events: ["b"],
  },
  {
    name: "keeps a BOM at the start of a later line as part of the field",
    input: `data: a\n\n${BOM}data: b\n\ndata: c\n\n`,
    events: ["a", "c"],
  },
  {
    name: "keeps a BOM in data",
    input: `data: ${BOM}a\ndata:${BOM}\n\n`,
    events: [`${BOM}a\n${BOM}`],
  },
  {
    name: "gives nothing for a stream of a BOM",
    input: BOM,
    events: [],
  },
  {
    name: "gives nothing for an empty stream",
    input: "",
    events: [],
  },
  {
    name: "gives nothing for a block of comments",
    input: ": a\n:b\n\n:\n\ndata: x\n\n",
    events: ["x"],
    comments: ["a", "b", ""],
  },
  {
    name: "leaves the event alone at a comment",
    input: "event: e\n: c\ndata: a\n:  d\nid: 1\ndata: b\n\n",
    events: [["a\nb", "e", "1"]],
    comments: ["c", " d"],
    lastEventId: "1",
  },
  {
    name: "gives nothing for blank lines",
    input: "\n\n\r\r\r\n\r\n\ndata: a\n\n\n\n\r\n",
    events: ["a"],
  },
  {
    name: "ignores an id with NUL and keeps the old one",
    input: "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\nid: \0\ndata: c\n\n",
    events: [["a", "message", "1"], ["b", "message", "1"], [
      "c",
      "message",
      "1",
    ]],
    lastEventId: "1",
  },
  {
    name: "keeps an earlier id of the event at an id with NUL",
    input: "id: 1\nid: 2\0\ndata: a\n\n",
    events: [["a", "message", "1"]],
    lastEventId: "1",
  },
  {
    name: "keeps the id for later events",
    input: "id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n",
    events: [["a", "message", "1"], ["b", "message", "1"], [
      "c",
      "message",
      "2",
    ]],
    lastEventId: "2",
  },
  {
    name: "takes the last id of an event",
    input: "id: 1\ndata: a\nid: 2\n\n",
    events: [["a", "message", "2"]],
    lastEventId: "2",
  },
  {
    name: "resets the id at an empty one",
    input: "id: 1\ndata: a\n\nid:\ndata: b\n\n",
    events: [["a", "message", "1"], "b"],
  },
  {
    name: "resets the id at one without a colon",
    input: "id: 1\ndata: a\n\nid\ndata: b\n\n",
    events: [["a", "message", "1"], "b"],
  },
  {
    name: "commits the id of a block without data",
    input: "id: 7\n\ndata: a\n\nid: 8\n\n",
    events: [["a", "message", "7"]],
    lastEventId: "8",
  },
  {
    name: "keeps spaces in an id but for the first",
    input: "id:  a b \ndata: a\n\n",
    events: [["a", "message", " a b "]],
    lastEventId: " a b ",
  },
  {
    name: "takes a retry of ASCII digits",
    input: "retry: 1500\n\n",
    events: [],
    reconnectionTime: 1500,
  },
  {
    name: "takes a retry at its line",
    input: "retry:20\n",
    events: [],
    reconnectionTime: 20,
  },
  {
    name: "takes leading zeros of a retry",
    input: "retry: 007\n",
    events: [],
    reconnectionTime: 7,
  },
  {
    name: "takes a retry of 0",
    input: "retry: 0\n",
    events: [],
    reconnectionTime: 0,
  },
  ...[
    "-1",
    "+1",
    "1e2",
    "0x64",
    "1.5",
    "",
    " 5",
    "5 ",
    "1000x",
    "\u0661",
    "\uff11",
    "Infinity",
  ].map((value) => ({
    name: `ignores a retry of ${JSON.stringify(value)}`,
    input: `retry: 3\nretry: ${value}\n\n`,
    events: [],
    reconnectionTime: 3,
  })),
  {
    name: "ignores a retry without a colon",
    input: "retry\n\n",
    events: [],
  },
  {
    name: "clamps a retry over 2^31-1",
    input: "retry: 2147483648\n\n",
    events: [],
    reconnectionTime: 2147483647,
  },
  {
    name: "clamps a retry of 10^400",
    input: `retry: 1${"0".repeat(400)}\n\n`,
    events: [],
    reconnectionTime: 2147483647,
  },
  {
    name: "takes data without a colon",
    input: "data\n\ndata\ndata\n\n",
    events: ["", "\n"],
  },
  {
    name: "gives an event of empty data",
    input: "data:\n\ndata: \n\n",
    events: ["", ""],
  },
  {
    name: "gives nothing for an event without data, and forgets its type",
    input: "event: e\n\ndata: a\n\n",
    events: ["a"],
  },
  {
    name: "drops an unfinished event at the end, with its id",
    input: "id: 1\ndata: a\n\nid: 2\ndata: b\n",
    events: [["a", "message", "1"]],
    lastEventId: "1",
  },
  {
    name: "drops an unfinished line at the end",
    input: "data: a\n\ndata: b",
    events: ["a"],
  },
  {
    name: "strips exactly one leading space",
    input: "data:a\ndata: b\ndata:  c\ndata:\td\n\n",
    events: ["a\nb\n c\n\td"],
  },
  {
    name: "keeps trailing spaces",
    input: "data: a \nevent: e \n\n",
    events: [["a ", "e "]],
  },
  {
    name: "keeps an empty first data line",
    input: "data:\ndata: a\n\n",
    events: ["\na"],
  },
  {
    name: "keeps empty data lines",
    input: "data: a\ndata:\ndata\ndata: b\ndata\n\n",
    events: ["a\n\n\nb\n"],
  },
  {
    name: "resets the type at an empty one",
    input: "event: foo\nevent:\ndata: a\n\nevent: foo\nevent\ndata: b\n\n",
    events: ["a", "b"],
  },
  {
    name: "takes the last type of an event",
    input: "event: foo\ndata: a\nevent: bar\n\ndata: b\n\n",
    events: [["a", "bar"], "b"],
  },
  {
    name: "takes VT, FF, NEL, LS and PS as data",
    input: "data: \v\f\x85\u2028\u2029\n\n",
    events: ["\v\f\x85\u2028\u2029"],
  },
  {
    name: "takes a space before the colon as part of the name",
    input: "data : a\ndata: b\n\n",
    events: ["b"],
  },
  {
    name: "takes names by case",
    input: "Data: a\nDATA: b\nEvent: c\nID: 1\nRetry: 5\ndata: d\n\n",
    events: ["d"],
  },
  {
    name: "ignores names that begin or end with a known one",
    input:
      "dat: a\ndata2: b\ndatab\nxdata: c\neven: d\nevents: e\ni: 1\nids: 2\nid2\nretry2: 5\nretr: 5\ndata: f\n\n",
    events: ["f"],
  },
  {
    name: "keeps NUL in data and type",
    input: "event: a\0\ndata: \0b\0\n\n",
    events: [["\0b\0", "a\0"]],
  },
  {
    name: "takes what follows the first colon",
    input: "data::\ndata: :\ndata: a:b\n\n",
    events: [":\n:\na:b"],
  },
  {
    name: "takes :: as a comment",
    input: ":: a\ndata: b\n\n",
    events: ["b"],
    comments: [": a"],
  },
  {
    name: "ignores a field named __proto__",
    input: "__proto__: a\nconstructor: b\ndata: c\n\n",
    events: ["c"],
  },
  {
    name: "takes fields in any order",
    input: "data: a\nretry: 9\nid: 3\nevent: e\n\n",
    events: [["a", "e", "3"]],
    lastEventId: "3",
    reconnectionTime: 9,
  },
  {
    name: "decodes characters of two, three and four bytes",
    input: "event: é\nid: ü\ndata: é€😀\ndata: 你好\n: ñ\n\n",
    events: [["é€😀\n你好", "é", "ü"]],
    comments: ["ñ"],
    lastEventId: "ü",
  },
  {
    name: "replaces what is not UTF-8",
    input: bytes(
      "data: \xff\xe2\x82\ndata: \xe2\x82x\xf0\x9f\x98\ndata: \xc3\xc3\xa9\x80\n\n",
    ),
    events: ["\ufffd\ufffd\n\ufffdx\ufffd\n\ufffdé\ufffd"],
  },
  {
    name: "replaces surrogates and overlong forms",
    input: bytes(
      "data: \xed\xa0\x80\ndata: \xc0\xaf\ndata: \xe0\x80\x80\ndata: \xf5\x80\x80\x80\x80\n\n",
    ),
    events: [
      "\ufffd\ufffd\ufffd\n\ufffd\ufffd\n\ufffd\ufffd\ufffd\n\ufffd\ufffd\ufffd\ufffd\ufffd",
    ],
  },
  {
    name: "ends in the middle of a character",
    input: bytes("data: a\n\ndata: \xf0\x9f\x98"),
    events: ["a"],
  },
  {
    name: "gives a hundred events in a burst",
    input: Array.from({ length: 100 }, (_, i) => `id: ${i}\ndata: ${i}\n\n`)
      .join(""),
    events: Array.from(
      { length: 100 },
      (_, i): [string, string, string] => [`${i}`, "message", `${i}`],
    ),
    lastEventId: "99",
  },
];
