import { duration } from "../../options/kinds.ts";
import { FlagError } from "../command.ts";

/**
 * The time for which a relay that has answered before is asked again, as a
 * flag's value.
 */
const DEFAULT_PATIENCE = "5m";

/** The flag that says how long a relay is asked again that does not answer. */
export const PATIENCE_FLAGS = {
  "retry-for": { type: "string", default: DEFAULT_PATIENCE },
} as const;

/** The flag in the help of a command. */
export const PATIENCE_HELP =
  `  --retry-for TIME   how long to try again when the relay stops answering:
                     30s, 10m, 1h; default ${DEFAULT_PATIENCE}
`;

const patience = duration({ zero: true });

/**
 * Returns how long a relay that does not answer is asked again, in milliseconds.
 *
 * @throws {FlagError} If the flag has no duration.
 */
export function patienceOf(
  { "retry-for": text }: { readonly "retry-for": string },
): number {
  const { data, success } = patience.schema.safeParse(patience.fromText(text));
  if (success) return data;
  throw new FlagError(
    `--retry-for: expected ${patience.wanted}, got '${text}'`,
  );
}
