import type { Access } from "./access.ts";

/** Says what the holder of a token may do. */
export interface Authority {
  /**
   * Reads a token.
   *
   * @param token What a caller has sent, if anything.
   * @returns What it may do.
   * @throws {Problem} 401 `token_required` or `invalid_token`, or rejects with it.
   */
  authorize(token: string | undefined): Access | Promise<Access>;
}
