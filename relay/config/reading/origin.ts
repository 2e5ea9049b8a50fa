/** Where a setting comes from. */
export type Origin =
  | { readonly kind: "flag"; readonly flag: string }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "file"; readonly path: string; readonly key: string }
  | { readonly kind: "default" };

/** Names where a setting comes from: `environment RIVULET_PORT`. */
export function describeOrigin(origin: Origin): string {
  switch (origin.kind) {
    case "flag":
      return `flag --${origin.flag}`;
    case "environment":
      return `environment ${origin.variable}`;
    case "file":
      return `file ${origin.path}, key ${origin.key}`;
    case "default":
      return "default";
  }
}
