const BOM = "\ufeff";
const LONG = "x".repeat(2048);

/** An event: its data, or its data, type and id. */
export type FeedEvent =
  | string
  | readonly [
    data: string,
    type: string,
    id?: string,
  ];

/** A body that is parsed, and what it gives. */
export interface Feed {
  /** The WPT file, without its extension. */
  readonly file: string;
  /** The behaviour that it shows. */
  readonly shows: string;
  /** The `message` parameter of the test's `message.py`. */
  readonly message: string;
  /** Its `newline`: `none` leaves out two of the three LFs after the message. */
  readonly newline?: "none";
  /** Its `mime`. */
  readonly mime?: string;
  /** All the events. */
  readonly events: readonly FeedEvent[];
  /** All the comments. */
  readonly comments?: readonly string[];
  /** The reconnection time at the end. */
  readonly reconnectionTime?: number;
}

/** The body that `message.py` makes of it. */
export function feedBody({ message, newline }: Feed): Uint8Array {
  const end = newline === "none" ? "\n" : "\n\n\n";
  return new TextEncoder().encode(message + end);
}

/** The tests of `eventsource/` whose subject is what a body means. */
export const feeds: readonly Feed[] = [
  {
    file: "format-bom",
    shows: "one BOM is stripped at the start, and none later",
    message: `${BOM}data:1\n\n${BOM}data:2\n\ndata:3`,
    events: ["1", "3"],
  },
  {
    file: "format-bom-2",
    shows: "of two BOMs the second stays",
    message: `${BOM}${BOM}data:1\n\ndata:2\n\ndata:3`,
    events: ["2", "3"],
  },
  {
    file: "format-comments",
    shows: "comments are no part of an event, whatever their line ends in",
    message:
      `data:1\r:\0\n:\r\ndata:2\n:${LONG}\rdata:3\n:data:fail\r:${LONG}\ndata:4\n`,
    newline: "none",
    events: ["1\n2\n3\n4"],
    comments: ["\0", "", LONG, "data:fail", LONG],
  },
  {
    file: "format-data-before-final-empty-line",
    shows: "an event without its blank line is dropped, with its id",
    message: "retry:1000\ndata:test1\n\nid:test\ndata:test2",
    newline: "none",
    events: ["test1"],
    reconnectionTime: 1000,
  },
  {
    file: "format-field-data",
    shows: "data may be empty, and without a colon",
    message: "data:\n\ndata\ndata\n\ndata:test",
    events: ["", "\n", "test"],
  },
  {
    file: "format-field-event",
    shows: "a type is for one event",
    message: "event:test\ndata:x\n\ndata:x",
    events: [["x", "test"], "x"],
  },
  {
    file: "format-field-event-empty",
    shows: "an empty type is message",
    message: "event: \ndata:data",
    events: ["data"],
  },
  {
    file: "format-field-id-3",
    shows: "an id persists until there is another",
    message: "id: 1\ndata: 1\n\ndata: 2\n\nid: 2\ndata:3\n\ndata:4",
    events: [
      ["1", "message", "1"],
      ["2", "message", "1"],
      ["3", "message", "2"],
      ["4", "message", "2"],
    ],
  },
  {
    file: "format-field-id-3",
    shows: "an empty id resets it",
    message: "id: 1\ndata: 1\n\nid:\ndata:2\n\ndata:3",
    events: [["1", "message", "1"], "2", "3"],
  },
  {
    file: "format-field-id-3",
    shows: "an id without colon resets it",
    message: "id: 1\ndata: 1\n\nid\ndata:2\n\ndata:3",
    events: [["1", "message", "1"], "2", "3"],
  },
  {
    file: "format-field-parsing",
    shows: "names of fields are exact, and values lose one space",
    message:
      "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n",
    newline: "none",
    events: ["\0\n 2\n1\n3\n\n4"],
  },
  {
    file: "format-field-retry",
    shows: "a leading zero makes no octal number",
    message: "retry:03000\ndata:x",
    events: ["x"],
    reconnectionTime: 3000,
  },
  {
    file: "format-field-retry-bogus",
    shows: "a time with a letter is ignored",
    message: "retry:3000\nretry:1000x\ndata:x",
    events: ["x"],
    reconnectionTime: 3000,
  },
  {
    file: "format-field-retry-empty",
    shows: "an empty time is ignored",
    message: "retry\ndata:test",
    events: ["test"],
  },
  {
    file: "format-field-unknown",
    shows: "unknown fields and lines without colon are ignored",
    message:
      "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test",
    events: ["test\n\ntest"],
    comments: ["thisisacommentyay"],
  },
  {
    file: "format-leading-space",
    shows: "a tab is data, one space is not",
    message: "data:\ttest\rdata: \ndata:test",
    events: ["\ttest\n\ntest"],
  },
  {
    file: "format-newlines",
    shows: "CR, LF and CRLF end lines, in any order",
    message: "data:test\r\ndata\ndata:test\r\n\r",
    newline: "none",
    events: ["test\n\ntest"],
  },
  {
    file: "format-null-character",
    shows: "NUL is data",
    message: "data:\0\n\n",
    events: ["\0"],
  },
  {
    file: "format-utf-8",
    shows: "a stream is UTF-8, whatever its charset says",
    mime: "text/event-stream;charset=windows-1252",
    message: "data:ok…",
    events: ["ok…"],
  },
  {
    file: "event-data",
    shows: "events without data are none",
    message:
      "data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end",
    events: ["msg\nmsg", "", "end"],
    comments: [""],
  },
];
