// This module is browser compatible.

/** Returns the door for several topics of a relay that may be below a path. */
export function socketUrl(relay: string | URL): string {
  return /\/ws$/.test(`${relay}`)
    ? `${relay}`
    : `${`${relay}`.replace(/\/$/, "")}/ws`;
}
