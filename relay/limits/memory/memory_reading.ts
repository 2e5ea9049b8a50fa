import process from "node:process";
import { collectGarbage, heapLimit } from "../../runtime.ts";

/** The memory of the process, at one moment. */
export interface MemoryReading {
  /** The bytes of the machine's memory that the process occupies. */
  readonly resident: number;
  /** The bytes of the program's objects, garbage among them. */
  readonly heap: number;
  /** The bytes of objects at which the engine ends the process; `Infinity` if it has no such limit. */
  readonly heapLimit: number;
}

/** Reads the memory of the process, and has it give back what it no longer needs. */
export interface ProcessMemory {
  /** Reads it: takes 0.03 to 0.12 ms. */
  read(): MemoryReading;
  /** Collects garbage: takes up to a second for each gigabyte of objects. */
  collect(): void;
}

/** Reads the memory of this process. */
export const processMemory: ProcessMemory = {
  read() {
    const { rss, heapUsed } = process.memoryUsage();
    return { resident: rss, heap: heapUsed, heapLimit: heapLimit() };
  },
  collect: collectGarbage,
};
