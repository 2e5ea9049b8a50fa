/**
 * Reads the commands of documents, for tests that run them.
 *
 * @module
 */

/** Returns the commands of a shell block, without comments, with continued lines joined. */
export function commandsOf(text: string): string[] {
  return text
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "");
}

/**
 * Splits a command into words, without their quotes.
 *
 * @throws {Error} If a character outside quotes means something to a shell.
 */
export function wordsOf(command: string): string[] {
  const words = command.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  return words.map((word) => {
    const bare = word.replaceAll(/'[^']*'|"[^"$`\\]*"/g, "");
    const special = /[|&;<>()$`\\*?"'[\]{}!~]/.exec(bare)?.[0];
    if (special !== undefined) {
      throw new Error(`'${special}' means something to the shell: quote it`);
    }
    return word.replaceAll(/'([^']*)'|"([^"]*)"/g, "$1$2");
  });
}
