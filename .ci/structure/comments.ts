import type { Tree } from "./tree.ts";

/** Begins a clause without a subject: "What a store holds" names no thing. */
const SUBJECTLESS = /^(?:What|How)$/;

/**
 * Finds the comments that begin with "What" or "How".
 *
 * A comment names its thing first: "The events of a store", "The number of
 * subscribers", "Returns the end of a topic". What a reader has to complete in
 * the mind has to be read twice.
 *
 * @returns One line for each.
 */
export function findVagueComments(tree: Tree): string[] {
  return [...tree.modules].flatMap(([path, { comments }]) =>
    comments.filter(({ word }) => SUBJECTLESS.test(word)).map((
      { line, word },
    ) =>
      `${path}:${line}: a comment begins with '${word}': name the thing, or begin with a verb`
    )
  );
}
