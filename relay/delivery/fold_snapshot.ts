import { atOnce, slices, type Steps } from "../slices.ts";
import type { LogEntry, LogRange, ReadBudget } from "../topics/log.ts";
import type { Topic } from "../topics/topic.ts";
import { encodeParts } from "./encode_parts.ts";
import { Folder } from "./fold.ts";
import type { Format } from "./format.ts";
import type { Message } from "./long_message.ts";

/** A snapshot is at most about this large: what comes after it is replayed. */
const SNAPSHOT_SIZE = 256 * 1024;

/** The part of a log that is read at a time. */
const SNAPSHOT_READ: ReadBudget = { events: 512, bytes: 256 * 1024 };

/** The part of that which is folded in a step. */
const SNAPSHOT_STEP: ReadBudget = { events: 64, bytes: 16 * 1024 };

/** A log of at most this many bytes is folded at once. */
const SMALL_LOG = 64 * 1024;

/** A fold of what is retained, from the first event on. */
export interface FoldedSnapshot {
  /** The offset after the last event in it. */
  readonly to: number;
  /** The snapshot as a door writes it. */
  readonly bytes: Message;
}

/**
 * Folds what a topic retains, as far as one message may go.
 *
 * @param topic The topic: something is retained of it.
 * @param format A format that has snapshots.
 * @param isWanted Whether a reader still waits: if none does, a promise of the
 * snapshot is never settled.
 */
export function foldSnapshot(
  topic: Topic,
  format: Format,
  isWanted: () => boolean,
): FoldedSnapshot | Promise<FoldedSnapshot> {
  const { log } = topic;
  const { first, next } = log;
  const folder = new Folder(first);
  let isCut = false;
  /** The only event of the snapshot, if it is long. */
  let alone: LogEntry | undefined;
  const isUnderWay = (): boolean =>
    !isCut && folder.next < next && folder.size < SNAPSHOT_SIZE &&
    // Missing events are a gap behind the snapshot.
    !log.holeAt?.(folder.next);
  const take = function* ({ entries }: LogRange): Generator<void, boolean> {
    let events = 0;
    let bytes = 0;
    for (const entry of entries) {
      if (entry.size > SNAPSHOT_SIZE && format.longSnapshot) {
        if (folder.next === first) alone = entry;
        isCut = true;
      }
      if (!isUnderWay()) break;
      folder.add(entry);
      bytes += entry.size;
      if (++events < SNAPSHOT_STEP.events && bytes < SNAPSHOT_STEP.bytes) {
        continue;
      }
      yield;
      events = bytes = 0;
    }
    // If retention has dropped events during the fetch, they are a gap behind
    // the snapshot.
    return isUnderWay() && folder.next >= log.first;
  };
  const finish = (): FoldedSnapshot | Promise<FoldedSnapshot> => {
    const parts = alone && format.longSnapshot?.(topic, first, alone);
    if (alone && parts) {
      const message = encodeParts(alone, parts, isWanted);
      const to = first + 1;
      return message instanceof Promise
        ? message.then((bytes) => ({ to, bytes }))
        : { to, bytes: message };
    }
    const to = folder.next;
    const snapshot = { first, offset: to - 1, events: folder.end() };
    return { to, bytes: format.snapshot!(topic, snapshot) }; // the caller has looked
  };
  const run = log.bytes <= SMALL_LOG
    ? atOnce<boolean>
    : (steps: Steps<boolean>) => slices.run("snapshots", steps, isWanted);
  const fold = (): FoldedSnapshot | Promise<FoldedSnapshot> => {
    for (;;) {
      const range = log.read(folder.next, SNAPSHOT_READ);
      const goesOn = range instanceof Promise
        ? range.then((range) => run(take(range)))
        : run(take(range));
      if (goesOn instanceof Promise) {
        return goesOn.then((goesOn) => goesOn ? fold() : finish());
      }
      if (!goesOn) return finish();
    }
  };
  return fold();
}
