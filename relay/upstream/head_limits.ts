/**
 * The largest head of an answer, in bytes. curl takes 300 KB; Node by default 16 KiB.
 */
export const MAX_HEAD = 300 * 1024;

/** The most headers of an answer. Node takes 2,000 by default; `fetch` of Deno takes 100. */
export const MAX_HEADERS = 5_000;
