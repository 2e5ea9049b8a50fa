import { z } from "zod";

type Issue = z.core.$ZodIssue;

/** The types of JSON, in words. */
const TYPES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "an array",
  object: "an object",
  record: "an object",
  undefined: "nothing",
};

/**
 * Returns the issue of the alternative that the value comes closest to, unless the
 * schema has words of its own for all of them.
 */
export function closestIssue(issue: Issue): Issue {
  if (issue.code !== "invalid_union" || issue.message !== "Invalid input") {
    return issue;
  }
  const [best] = issue.errors.flat()
    .sort((left, right) => right.path.length - left.path.length);
  return best
    ? closestIssue({ ...best, path: [...issue.path, ...best.path] })
    : issue;
}

/**
 * Says in one line what a schema has refused a value for: the place, the values
 * that are accepted, and the type that came. The value itself may be a secret.
 *
 * @param error The refusal of the schema; its first issue is told.
 */
export function issueText(error: z.ZodError): string {
  const [first] = error.issues;
  return first ? textOfIssue(first) : "expected another value";
}

/** Says the same of one issue, of which there may be others. */
export function textOfIssue(given: Issue): string {
  const issue = closestIssue(given);
  const place = z.core.toDotPath(issue.path);
  return `${place === "" ? "" : `${place}: `}${expectation(issue)}`;
}

function expectation(issue: Issue): string {
  const { code, message } = issue;
  switch (code) {
    case "invalid_type": {
      const [, came] = /, received (\w+)$/.exec(message) ?? [];
      if (came === undefined) return asItIs(message);
      if (issue.expected === "int" && came === "number") {
        return "expected a whole number";
      }
      return `expected ${inWords(issue.expected)}, got ${inWords(came)}`;
    }
    case "too_small":
      if (!message.startsWith("Too small:")) return asItIs(message);
      return `expected ${
        amount(issue, issue.inclusive ? "at least" : "more than", issue.minimum)
      }`;
    case "too_big":
      if (!message.startsWith("Too big:")) return asItIs(message);
      return `expected ${
        amount(issue, issue.inclusive ? "at most" : "less than", issue.maximum)
      }`;
    case "invalid_value":
      return `expected ${
        issue.values.map((value) => JSON.stringify(value)).join(", ")
      }`.replace(/, ([^,]*)$/, " or $1");
    case "invalid_key": {
      const [first] = issue.issues;
      return first ? expectation(first) : asItIs(message);
    }
    case "unrecognized_keys":
      return `expected no '${issue.keys.join("', '")}'`;
    default:
      return asItIs(message);
  }
}

/** The units in which the size of a value is told. */
const UNITS: Readonly<Record<string, string>> = {
  string: "characters",
  array: "elements",
  set: "elements",
  file: "bytes",
};

function amount(
  { origin }: { readonly origin: string },
  relation: string,
  bound: number | bigint,
): string {
  const unit = UNITS[origin];
  return unit
    ? `${relation} ${bound} ${Number(bound) === 1 ? unit.slice(0, -1) : unit}`
    : `a number of ${relation} ${bound}`;
}

/** Returns the words of a schema's own message. */
function asItIs(message: string): string {
  return message.replace(/^[\w ]+: expected /, "expected ")
    .replace(/^Expected /, "expected ");
}

function inWords(type: string): string {
  return TYPES[type] ?? type;
}
