import { z } from "zod";
import { relayOptions } from "../options.ts";

/** From which weight on log lines are written. */
export const logLevels = ["debug", "info", "warning", "error"] as const;

/** How log lines are written. */
export const logFormats = ["text", "json"] as const;

/** Accepts the relay's options, and what only its command line has. */
export const commandOptions = relayOptions.safeExtend({
  drain: z.number().min(0).max(2_147_483_647).default(10_000),
  logLevel: z.enum(logLevels).default("info"),
  logFormat: z.enum(logFormats).optional(),
});

/** What the command line runs on, complete. */
export type CommandOptions = z.output<typeof commandOptions>;
