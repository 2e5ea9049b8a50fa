/**
 * Reads what tests need of a Markdown file: its code blocks and its tables.
 *
 * @module
 */

/** A fenced code block. */
export interface Block {
  /** The line of the opening fence, counted from 1. */
  readonly line: number;
  /** The first word after the fence. */
  readonly language: string;
  /** The other words. */
  readonly attributes: readonly string[];
  /** The lines between the fences, each with a line end. */
  readonly text: string;
}

/**
 * Returns the fenced blocks of a Markdown file, including those in lists and quotes.
 *
 * @throws {Error} If a block has no closing fence.
 */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; indent: number; block: Block } | undefined;
  for (const [index, line] of markdown.split(/\r?\n/).entries()) {
    const [, before = "", fence, info = ""] =
      /^([\s>]*)(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
    if (open && fence?.startsWith(open.fence) && info.trim() === "") {
      blocks.push(open.block);
      open = undefined;
    } else if (open) {
      const { block, indent } = open;
      const text = `${block.text}${line.slice(indent)}\n`;
      open.block = { ...block, text };
    } else if (fence !== undefined) {
      const [language = "", ...attributes] = info.trim().split(/\s+/);
      open = {
        fence,
        indent: before.length,
        block: { line: index + 1, language, attributes, text: "" },
      };
    }
  }
  if (open) throw new Error(`line ${open.block.line}: the block has no end`);
  return blocks;
}

/** A row of a table: its cells by the heading of their column. */
export type Row = Readonly<Record<string, string>>;

function cellsOf(line: string): string[] {
  return line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** Returns every table of a Markdown file, code blocks aside. */
export function tablesOf(markdown: string): Row[][] {
  const tables: Row[][] = [];
  let headings: string[] | undefined;
  let isCode = false;
  for (const line of markdown.split(/\r?\n/)) {
    if (/^\s*```/.test(line)) isCode = !isCode;
    if (isCode || !/^\s*\|/.test(line)) {
      headings = undefined;
    } else if (!headings) {
      headings = cellsOf(line);
      tables.push([]);
    } else if (!/^[\s|:-]+$/.test(line)) {
      const cells = cellsOf(line);
      tables.at(-1)!.push( // there is one since the headings
        Object.fromEntries(
          headings.map((heading, index) => [heading, cells[index] ?? ""]),
        ),
      );
    }
  }
  return tables;
}

/**
 * Returns the table whose first column has this heading.
 *
 * @throws {Error} If there is none, or more than one.
 */
export function tableOf(markdown: string, heading: string): Row[] {
  const found = tablesOf(markdown)
    .filter(([row]) => row !== undefined && Object.keys(row)[0] === heading);
  const [table] = found;
  if (table && found.length === 1) return table;
  throw new Error(`Expected one table with '${heading}': got ${found.length}`);
}

/** Returns the items of the lists of a Markdown file, each in one line; code blocks and inner lists aside. */
export function itemsOf(markdown: string): string[] {
  const items: string[] = [];
  let isCode = false;
  let isItem = false;
  for (const line of markdown.split(/\r?\n/)) {
    if (/^\s*```/.test(line)) isCode = !isCode;
    if (isCode) continue;
    const [, text] = /^(?:\d+\.|[-*]) +(.*)$/.exec(line) ?? [];
    if (text !== undefined) items.push(text);
    else if (isItem && /^ +\S/.test(line)) {
      items.push(`${items.pop()} ${line.trim()}`);
    }
    isItem = text !== undefined || isItem && line.trim() !== "";
  }
  return items;
}

/** Returns the code in a cell, without its backticks. */
export function codeIn(cell: string | undefined): string[] {
  return [...(cell ?? "").matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
}

/**
 * Returns a section, from its heading to the next of the same or a higher level.
 *
 * @throws {Error} If there is none.
 */
export function sectionOf(markdown: string, heading: string): string {
  const lines = markdown.split("\n");
  const start = lines.indexOf(heading);
  if (start < 0) throw new Error(`Expected a heading '${heading}'`);
  const level = /^#+/.exec(heading)?.[0].length ?? 0;
  const next = new RegExp(`^#{1,${level}} `);
  let isCode = false;
  const end = lines.findIndex((line, index) => {
    if (/^\s*```/.test(line)) isCode = !isCode;
    return index > start && !isCode && next.test(line);
  });
  return lines.slice(start, end < 0 ? undefined : end).join("\n");
}

/** Returns the anchors of a Markdown file's headings, as GitHub makes them. */
export function anchorsIn(markdown: string): string[] {
  return markdown.split("\n").filter((line) => /^#+ /.test(line))
    .map((line) =>
      line.replace(/^#+ /, "").toLowerCase().replaceAll(/[^\w -]/g, "")
        .replaceAll(" ", "-")
    );
}
