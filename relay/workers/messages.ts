import { z } from "zod";
import { Problem } from "../problem.ts";
import { STATUS_TEXT, type StatusCode } from "@std/http/status";

/** The order that a worker is started with: the body of the call `start`. */
export const startOrder = z.strictObject({
  /** The number of the worker, from 1 on. */
  worker: z.int().positive(),
  /** The number of workers. */
  of: z.int().positive(),
  /** Whether it takes the place of a worker that has ended. */
  isAgain: z.boolean(),
  /** The options in force, as a configuration file. */
  config: z.string(),
  /** The port to listen on. */
  port: z.int(),
  /** Where the store is. */
  link: z.strictObject({
    path: z.string(),
    secret: z.string(),
    /** Whether relays that are not drained with this one have the topics too. */
    hasOthers: z.boolean(),
  }),
  /** The format of log lines. */
  log: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("json") }),
    z.strictObject({ kind: z.literal("text"), colors: z.boolean() }),
  ]),
});

/** The order that a worker is started with. */
export type StartOrder = z.output<typeof startOrder>;

/** The result of the call `start`. */
export const startReport = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("listening"),
    hostname: z.string(),
    port: z.int(),
    url: z.string(),
    /** The id of the worker's store, as the link has it. */
    store: z.string(),
  }),
  z.strictObject({
    kind: z.literal("failed"),
    /** Whether it may be different later. */
    isLater: z.boolean(),
    message: z.string(),
  }),
]);

/** The result of the call `start`. */
export type StartReport = z.output<typeof startReport>;

/** A figure of a registry of Prometheus, as `getMetricsAsJSON` has it. */
const figure = z.looseObject({
  name: z.string(),
  help: z.string(),
  type: z.string(),
  aggregator: z.string(),
  values: z.array(z.looseObject({
    value: z.number(),
    labels: z.record(z.string(), z.union([z.string(), z.number()])),
    metricName: z.string().optional(),
  })),
});

/** The figures of a process. */
export const figures = z.array(figure);

const problem = z.strictObject({
  status: z.custom<StatusCode>((value) =>
    typeof value === "number" && value in STATUS_TEXT
  ),
  code: z.string(),
  detail: z.string(),
  facts: z.record(z.string(), z.unknown()),
  headers: z.record(z.string(), z.string()),
});

/** A refusal, or that there is none. */
const refusal = z.nullable(problem);

/** Writes a refusal as the other process reads it. */
export function writeRefusal(
  problem: Problem | undefined,
): z.input<typeof refusal> {
  if (!problem) return null;
  const { status, code, message: detail, facts, headers } = problem;
  return { status, code, detail, facts: { ...facts }, headers: { ...headers } };
}

/** Reads a refusal that the other process has written. */
export function readRefusal(body: unknown): Problem | undefined {
  const read = refusal.parse(body);
  if (read === null) return undefined;
  const { status, code, detail, facts, headers } = read;
  return new Problem(status, code, detail, facts, headers);
}

/** A time for which something was so, in milliseconds; `null` if it was always so. */
export const idle = z.codec(z.nullable(z.number()), z.number(), {
  decode: (time) => time ?? Infinity,
  encode: (time) => time === Infinity ? null : time,
});

/** Changes of what is counted: what, of whom, and how many more or fewer. */
export const countChanges = z.array(
  z.tuple([z.string(), z.string(), z.number()]),
);

/** Changes of what is counted: what, of whom, and how many more or fewer. */
export type CountChanges = z.output<typeof countChanges>;

/** The memory that a process occupies; to a worker, that of all others. */
export const usage = z.strictObject({
  /** The bytes of the machine's memory. */
  resident: z.number(),
  /** The part of the memory for objects that is used, from 0 to 1; to a worker, that of the store's process. */
  heap: z.number(),
});

/** The memory that a process occupies; to a worker, that of all others. */
export type Usage = z.output<typeof usage>;
