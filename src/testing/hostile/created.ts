// This module is browser compatible.

/** When everything was made, in seconds: equal requests get equal answers. */
export const CREATED = 1_800_000_000;
