import type { Kind } from "./kinds/kind.ts";

/** Under what people look for a setting. */
export type Group =
  | "topics"
  | "rights"
  | "listening"
  | "limits"
  | "retention"
  | "subscribers"
  | "models"
  | "telling"
  | "file";

/** What can be set: by a flag, in the environment, and in a file. */
export interface Setting {
  /** The flag, without its dashes. */
  readonly flag: string;
  /** What it may be. */
  readonly kind: Kind;
  /** Under what it is looked for. */
  readonly group: Group;
  /** What it is for, in the help; a paragraph each. */
  readonly help: readonly string[];
  /** What holds without it, in the help. Default: the option's own default. */
  readonly without?: string;
  /** Whether it is to be seen by nobody. */
  readonly secret?: boolean;
}

/** The environment's name for a setting. */
export function variableOf({ flag }: Pick<Setting, "flag">): string {
  return `RIVULET_${flag.toUpperCase().replaceAll("-", "_")}`;
}
