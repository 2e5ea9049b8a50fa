// This module is browser compatible.

/** Calls a function in another turn of the event loop, in browsers. */
function throughChannel(callback: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    port2.close();
    callback();
  };
  port2.postMessage(undefined);
}

/**
 * Lets everything run that is ready to run: promises, and work they start.
 *
 * Only browsers, which lack `setImmediate`, take the messages of a channel. In Deno, these
 * messages overtake promises once `node:worker_threads` is loaded, and the clients of many
 * providers load it.
 *
 * @param count The number of turns of the event loop.
 */
export function turns(count: number): Promise<void> {
  const { setImmediate: inAnotherTurn = throughChannel } = globalThis as {
    readonly setImmediate?: (callback: () => void) => void;
  };
  return new Promise((resolve) => {
    let left = count;
    const turn = (): void => left-- > 0 ? inAnotherTurn(turn) : resolve();
    turn();
  });
}
