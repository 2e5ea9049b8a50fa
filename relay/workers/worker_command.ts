/** The command of the command line that a worker is started with; no help lists it. */
export const WORKER_COMMAND = "worker";
