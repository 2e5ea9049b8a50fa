import type { Store } from "./store.ts";

/** The members of stores that several relays share. */
type SharedMember =
  | "isShared"
  | "paceReaders"
  | "prepare"
  | "orphans"
  | "letGo"
  | "hear"
  | "claim";

/** The members that a store must have, one row each. */
const MEMBERS: Readonly<
  Record<
    Exclude<keyof Store, SharedMember>,
    "function" | "boolean" | "any"
  >
> = {
  open: "function",
  failure: "any",
  isLasting: "boolean",
  create: "function",
  find: "function",
  list: "function",
  listUnended: "function",
  watch: "function",
  hold: "function",
  cancel: "function",
  delete: "function",
  deleteEnded: "function",
  get: "function",
  put: "function",
  [Symbol.asyncDispose]: "function",
};

/** Returns the names of the members that an object lacks to be a store. */
export function lackingOfStore(given: object): string[] {
  const members = Reflect.ownKeys(MEMBERS) as (keyof typeof MEMBERS)[]; // the keys of the table
  return members.filter((member) => {
    const type = MEMBERS[member];
    return type !== "any" && typeof Reflect.get(given, member) !== type;
  }).map((member) =>
    typeof member === "symbol" ? `[${member.description}]` : member
  );
}
