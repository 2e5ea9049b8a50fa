import { z } from "zod";
import type { Kind } from "./kinds.ts";

/** The part of the help that an option is explained in. */
export type HelpTopic =
  | "sources"
  | "rights"
  | "listening"
  | "limits"
  | "retention"
  | "subscribers"
  | "models"
  | "chats"
  | "logs"
  | "file";

/** The columns of an option's row besides its kind and default. */
export interface Row {
  /** The flag, without its dashes; the variable's name comes from it. */
  readonly flag: string;
  /** The key in the configuration file. Default: the option's own name. */
  readonly file?: string;
  /** The part of the help. */
  readonly topic: HelpTopic;
  /** The text of the help; a paragraph each. */
  readonly help: readonly string[];
  /** The default in words, for the help. Default: the default itself. */
  readonly without?: string;
  /** Whether the value must not be shown. */
  readonly secret?: boolean;
  /** Whether a wrong value must not be shown, as it may be the secret of another option. */
  readonly hidesWrong?: boolean;
}

/** An option: its row, and the schema that the row amounts to. */
export interface Option<S extends z.ZodType = z.ZodType> extends Row {
  /** The values that it accepts, and their notations. */
  readonly kind: Kind;
  /** Accepts a value, and fills in the default. */
  readonly schema: S;
}

/** Options by their names; those of a group stand under the name of the group. */
export type OptionTree = {
  readonly [name: string]: Option | { readonly [name: string]: Option };
};

/** Makes an option that has a default. */
export function option<K extends Kind>(
  kind: K,
  row: Row & { readonly default: z.output<K["schema"]> },
): Option<z.ZodDefault<K["schema"]>>;
/** Makes an option that may be missing. */
export function option<K extends Kind>(
  kind: K,
  row: Row,
): Option<z.ZodOptional<K["schema"]>>;
export function option(
  kind: Kind,
  { default: value, ...row }: Row & { readonly default?: unknown },
): Option {
  const { schema } = kind;
  return {
    kind,
    schema: value === undefined
      ? z.optional(schema)
      : z._default<z.ZodType>(schema, value),
    ...row,
  };
}

/** The members of an object schema for a tree of options. */
export type ShapeOf<T> = {
  [K in keyof T]: T[K] extends Option<infer S> ? S
    : z.ZodPrefault<z.ZodObject<ShapeOf<T[K]>, z.core.$strict>>;
};

function isOption(node: OptionTree[string]): node is Option {
  return "schema" in node;
}

/** Returns the object schema of a tree of options; groups may be left out. */
export function schemaOf<const T extends OptionTree>(
  tree: T,
): z.ZodObject<ShapeOf<T>, z.core.$strict> {
  const shape = Object.fromEntries(
    Object.entries(tree).map(([name, node]) => [
      name,
      isOption(node) ? node.schema : z.strictObject(
        Object.fromEntries(
          Object.entries(node).map(([name, { schema }]) => [name, schema]),
        ),
      ).prefault({}),
    ]),
  );
  // TypeScript does not follow the entries of an object; ShapeOf does the same.
  return z.strictObject(shape) as unknown as z.ZodObject<
    ShapeOf<T>,
    z.core.$strict
  >;
}

/** An option, with its place among the others. */
export interface Setting extends Option {
  /** The place: `gateway.timeout`. */
  readonly name: string;
  /** The names on the way to the option. */
  readonly path: readonly string[];
  /** The key in the configuration file. */
  readonly file: string;
  /** The name of the environment variable. */
  readonly variable: string;
}

/** Lists the options of a tree. */
export function settingsOf(tree: OptionTree): readonly Setting[] {
  return Object.entries(tree).flatMap(([name, node]) =>
    isOption(node)
      ? [settingOf([name], node)]
      : Object.entries(node).map(([inner, option]) =>
        settingOf([name, inner], option)
      )
  );
}

function settingOf(path: readonly string[], option: Option): Setting {
  return {
    ...option,
    name: path.join("."),
    path,
    file: option.file ?? path.at(-1) ?? "",
    variable: `RIVULET_${option.flag.toUpperCase().replaceAll("-", "_")}`,
  };
}

/** Returns the value of a setting in an object of options, if it is there. */
export function valueAt(
  options: unknown,
  path: readonly PropertyKey[],
): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, key)
        ? Object.getOwnPropertyDescriptor(inner, key)?.value
        : undefined,
    options,
  );
}
