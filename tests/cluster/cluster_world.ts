import { World } from "../crash/world.ts";
import type { Break } from "../crash/contents.ts";

/** A world of several relays, of which one or the other is in trouble most of the time. */
export class ClusterWorld extends World {
  override get isShared(): boolean {
    return true;
  }

  /** Whatever fails may do so: it is what was said before that counts. */
  override excuse(): void {
    this.over.throwIfAborted();
  }

  override brokenSince(): Break | undefined {
    return "full";
  }
}
