import type { Load, Measurement } from "../load.ts";

/** Less of a fixed rate than this was not kept up with. */
const ENOUGH = 0.97;

/** More of its core than this, and the load generator may be what is measured. */
const BUSY = 0.95;

/** Whether a server did not send all that it was to send at a fixed rate. */
export function isBehind(load: Load, { delivered }: Measurement): boolean {
  return load.rate > 0 && delivered < load.rate * load.subscribers * ENOUGH;
}

/** Whether the load generator had no time left. */
export function isGeneratorBusy(
  { generatorShare, feedShare }: Measurement,
): boolean {
  return generatorShare + feedShare > BUSY;
}

/** More of the time than this, and the machine was not calm. */
const DISTURBED = 0.1;

/** Whether the server had to share its core with others. */
export function isDisturbed({ waitShare }: Measurement): boolean {
  return waitShare > DISTURBED;
}
