import type { RelayOptions } from "../../options.ts";
import type { ValueKind } from "./kind.ts";

type Fixture = NonNullable<RelayOptions["fixtures"]>[number];

const LOOP = ",loop";

function fromText(text: string): Fixture | undefined {
  const equals = text.indexOf("=");
  if (equals < 1) return undefined;
  const loop = text.endsWith(LOOP);
  const path = text.slice(equals + 1, loop ? -LOOP.length : undefined);
  return path === "" ? undefined : { name: text.slice(0, equals), path, loop };
}

/** A recorded stream: `demo=fixtures/demo.sse,loop`. */
export const fixture: ValueKind = {
  takes: "value",
  hint: "NAME=PATH[,loop]",
  wanted: "NAME=PATH[,loop]",
  fromText,
  fromJson: (value) =>
    typeof value === "string" ? fromText(value) ?? value : value,
  toJson: (value) => value,
};
