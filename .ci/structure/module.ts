/** An import of another module, or a re-export from it. */
export interface Import {
  /** The specifier, as it is written. */
  readonly specifier: string;
  /** The number of the line, from 1. */
  readonly line: number;
  /**
   * The names of the exports that it takes; `undefined` for all of them: of
   * `* as`, of `import()`, and of `export *`.
   */
  readonly names: readonly string[] | undefined;
}

/** A name that a module exports. */
interface Export {
  /** The name that importers use. */
  readonly name: string;
  /** The number of the line, from 1. */
  readonly line: number;
}

/** A name that a module declares and exports. */
export interface Declaration extends Export {
  /** Whether it is a type alone. */
  readonly isType: boolean;
  /** The code of the declaration, with its comments and strings blank. */
  readonly code: string;
}

/** A name that a module exports from another one. */
export interface Passage extends Export {
  /** The specifier of the other module. */
  readonly specifier: string;
  /** The name that it has there. */
  readonly original: string;
}

/** The beginning of a comment. */
export interface Comment {
  /** The first word; `""` if the comment begins with something else. */
  readonly word: string;
  /** The number of the line, from 1. */
  readonly line: number;
}

/** The imports, exports and comments of a module. */
export interface Module {
  /** The imports of the module, with its exports from elsewhere. */
  readonly imports: readonly Import[];
  /** The exports that the module declares. */
  readonly exports: readonly Declaration[];
  /** The names that the module exports from elsewhere. */
  readonly passages: readonly Passage[];
  /** The specifiers of `export * from`. */
  readonly stars: readonly string[];
  /** The comments; consecutive lines of `//` are one. */
  readonly comments: readonly Comment[];
}

/**
 * Everything in which the words of a statement mean nothing: comments, strings,
 * regular expressions, and templates. A regular expression begins where no
 * division can.
 */
const OPAQUE =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`|(?<=(?:^|[(,=:[!&|?{};>]|\breturn|\bcase)\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\//gm;

/** A comment, up to its first word. */
const COMMENT = /^\/[/*][\s*]*(?<word>\w*)/;

/** The formatter begins every statement of a module at the start of a line. */
const STATEMENT =
  /^(?:import|export)\s+(?:type\s+)?(?:\*(?:\s+as\s+(?<namespace>\w+))?|(?<default>\w+)?,?\s*(?:\{(?<names>[^}]*)\})?)\s*from\s*"(?<specifier>[^"]*)"/gm;

const LIST = /^export\s+(?:type\s+)?\{(?<names>[^}]*)\};/gm;

const SIDE_EFFECT = /^import\s*"(?<specifier>[^"]*)"/gm;

const CALL = /\bimport\(\s*"(?<specifier>[^"]*)"/g;

const DECLARATION =
  /^export\s+(?:declare\s+)?(?:(?<default>default)\b|(?:abstract\s+)?(?:async\s+)?(?<kind>function\*?|class|const|let|var|interface|type|enum|namespace)\s+(?<name>\w+))/gm;

/** The next statement: the lines of one that it began before are blank, indented, or close a bracket. */
const NEXT = /\n(?=[a-zA-Z])/g;

/**
 * Reads the imports, exports and comments of a module.
 *
 * Deno offers programs no parser, and the package depends on none. The style of the
 * formatter makes regular expressions exact here.
 *
 * @param text The module, as `deno fmt` writes it.
 */
export function readModule(text: string): Module {
  const code = text.replace(OPAQUE, blank);
  const lineOf = lines(text);
  const imports: Import[] = [];
  const exports: Declaration[] = [];
  const passages: Passage[] = [];
  const stars: string[] = [];
  // The strings of `code` are blank: what they say is in `text` at the same place.
  const specifierOf = (match: RegExpMatchArray): string => {
    const blank = match.groups?.["specifier"] ?? "";
    const end = match.index! + match[0].length - 1; // of a match of `matchAll`
    return text.slice(end - blank.length, end);
  };

  for (const match of code.matchAll(STATEMENT)) {
    const { namespace, default: own, names } = match.groups ?? {};
    const specifier = specifierOf(match);
    const line = lineOf(match.index);
    const isExport = match[0].startsWith("export");
    const isNamed = names !== undefined || own !== undefined;
    const pairs = pairsOf(names ?? "");
    if (own !== undefined) pairs.push({ original: "default", name: own });
    imports.push({
      specifier,
      line,
      names: isNamed ? pairs.map(({ original }) => original) : undefined,
    });
    if (!isExport) continue;
    if (namespace !== undefined) {
      exports.push({ name: namespace, line, isType: false, code: "" });
    } else if (!isNamed) stars.push(specifier);
    for (const pair of pairs) passages.push({ ...pair, specifier, line });
  }
  for (const pattern of [SIDE_EFFECT, CALL]) {
    for (const match of code.matchAll(pattern)) {
      imports.push({
        specifier: specifierOf(match),
        line: lineOf(match.index),
        names: pattern === CALL ? undefined : [],
      });
    }
  }
  for (const match of code.matchAll(LIST)) {
    const line = lineOf(match.index);
    for (const { name } of pairsOf(match.groups?.["names"] ?? "")) {
      exports.push({ name, line, isType: false, code: "" });
    }
  }
  for (const match of code.matchAll(DECLARATION)) {
    const { name = "default", kind } = match.groups ?? {};
    NEXT.lastIndex = match.index;
    exports.push({
      name,
      line: lineOf(match.index),
      isType: kind === "type" || kind === "interface",
      code: code.slice(match.index, NEXT.exec(code)?.index),
    });
  }
  return { imports, exports, passages, stars, comments: commentsOf(text) };
}

function commentsOf(text: string): Comment[] {
  const lineOf = lines(text);
  const comments: Comment[] = [];
  let end = -1;
  for (const { 0: opaque, index } of text.matchAll(OPAQUE)) {
    const word = COMMENT.exec(opaque)?.groups?.["word"];
    if (word === undefined) continue;
    // The next line of `//` goes on with the comment.
    const isNext = end >= 0 && opaque.startsWith("//") &&
      /^\n[ \t]*$/.test(text.slice(end, index));
    end = opaque.startsWith("//") ? index + opaque.length : -1;
    if (!isNext) comments.push({ word, line: lineOf(index) });
  }
  return comments;
}

/** Keeps quotes and line ends, so that places stay what they are. */
function blank(opaque: string): string {
  const isQuoted = /^["'`]/.test(opaque);
  const inner = isQuoted ? opaque.slice(1, -1) : opaque;
  const spaces = inner.replaceAll(/[^\n]/g, " ");
  return isQuoted ? `${opaque[0]}${spaces}${opaque[0]}` : spaces;
}

/** Reads `a, type b, c as d`. */
function pairsOf(list: string): { original: string; name: string }[] {
  return list.split(",").map((part) => part.trim()).filter((part) => part)
    .map((part) => {
      const [original = "", name = original] = part.replace(/^type\s+/, "")
        .split(/\s+as\s+/);
      return { original, name };
    });
}

/** Makes a function from a place in a text to the number of its line. */
function lines(text: string): (index: number) => number {
  const ends = [...text.matchAll(/\n/g)].map(({ index }) => index);
  return (index) => 1 + ends.filter((end) => end < index).length;
}
