import type { z } from "zod";
import { textOfIssue } from "../issue_text.ts";
import { nearest } from "./nearest.ts";
import { relayOptions } from "./schema.ts";

/** Says which options of a program are wrong, by their paths, and which were probably meant. */
export function explainOptions(error: z.ZodError): string {
  return error.issues.map(describeIssue).join("; ");
}

/** The names of all options, and the paths that lead to them. */
const OPTION_PATHS: ReadonlyMap<string, string> = new Map(
  Object.entries(relayOptions.shape).flatMap(([name, option]) =>
    [name, ...namesWithin(option)].map((inner): [string, string] => [
      inner,
      inner === name ? name : `${name}.${inner}`,
    ])
  ),
);

/** Returns the names of the options in a group. */
function namesWithin(option: object): string[] {
  if ("unwrap" in option && typeof option.unwrap === "function") {
    return namesWithin(option.unwrap()); // there is a default
  }
  const shape = "shape" in option ? option.shape : undefined;
  return typeof shape === "object" && shape !== null ? Object.keys(shape) : [];
}

/** Says which option is wrong, and which was probably meant. */
function describeIssue(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys") return textOfIssue(issue);
  const at = issue.path.join(".");
  return issue.keys.map((key) => {
    const name = nearest(key, OPTION_PATHS.keys());
    const meant = name && OPTION_PATHS.get(name);
    return `there is no option '${at === "" ? key : `${at}.${key}`}'` +
      (meant ? `: did you mean '${meant}'?` : "");
  }).join("; ");
}
