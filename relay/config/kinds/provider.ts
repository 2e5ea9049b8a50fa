import { knownProviders } from "../../gateway/provider.ts";
import type { ValueKind } from "./kind.ts";

const names = Object.keys(knownProviders);

/** Fills in where a provider is that is known by its name. */
function complete(provider: object): object {
  const { name } = "name" in provider ? provider : { name: undefined };
  const known = typeof name === "string" && Object.hasOwn(knownProviders, name)
    ? knownProviders[name]
    : undefined;
  return known
    ? { url: known.url, keyHeader: known.keyHeader, ...provider }
    : provider;
}

function fromText(text: string): object | undefined {
  const equals = text.indexOf("=");
  if (equals < 0) {
    return names.includes(text) ? complete({ name: text }) : undefined;
  }
  const url = text.slice(equals + 1);
  return equals > 0 && URL.canParse(url)
    ? complete({ name: text.slice(0, equals), url })
    : undefined;
}

/** A provider of language models: `openai`, or `local=http://localhost:8788/v1`. */
export const provider: ValueKind = {
  takes: "value",
  hint: "NAME[=URL]",
  wanted: `NAME=URL, or one of ${names.join(", ")}`,
  fromText,
  fromJson(value) {
    if (typeof value === "string") return fromText(value) ?? value;
    return typeof value === "object" && value !== null
      ? complete(value)
      : value;
  },
  toJson: (value) => value,
};
