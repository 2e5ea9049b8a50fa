/**
 * A stream with everything that the standard allows and no recording has.
 *
 * @module
 */

const LONG = "0123456789 příliš žluťoučký kůň 🐎 ".repeat(300);

const PARTS = [
  ": a comment\r\nid: up-1\r\nevent: greeting\r\ndata: první řádek 🦀\r\ndata:  druhý\r\n\r\n",
  "data:\rdata:\rid: up-2\r\r",
  "id: ünïcode ✓ 2\ndata: …\n\n",
  "retry: 10\nevent: \ndata: x\n\n",
  "data\n\n",
  "event: nothing\n\n",
  "id: not\0this\ndata: nul\0in data\n\n",
  "unknown: field\ndata: known\nno colon at all\n\n",
  `data: ${LONG}\ndata: ${LONG}\n\n`,
  "\n\n\r\n\r\r\n",
  'event: quoted "\\ \' type\ndata: {"a":"\\\\ \u2028 \u2029 \u007f \u0001"}\n\n',
  "data: [DONE]\r\r\n",
  "data: 👩‍👩‍👧‍👦 é ﷺ\r\n\r\n",
] as const;

const NOT_UTF8 = [0xFF, 0xC3, 0x28, 0xF0, 0x9F, 0xA6, 0x20, 0xED, 0xA0, 0x80];

const encoder = new TextEncoder();

/** The stream: `number` makes its ids differ from those of another one. */
export function oddStream(number: number): Uint8Array[] {
  return [
    ...PARTS.map((part) =>
      encoder.encode(part.replaceAll("up-", `${number}-`))
    ),
    Uint8Array.from([
      ...encoder.encode("data: not UTF-8: "),
      ...NOT_UTF8,
      ...encoder.encode("\n\n"),
    ]),
  ];
}
