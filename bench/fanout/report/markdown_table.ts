/** Writes a table whose first row is its head. */
export function markdownTable(
  [head = [], ...rows]: readonly string[][],
): string {
  return [head, head.map(() => "--:"), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
