// The sockets of the generators, over real connections to themselves.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Loop } from "../../bench/net/loop.ts";
import { LIMIT } from "../support/within.ts";

const ignore = Deno.build.os !== "linux";

/**
 * The number of bytes sent at a time, and the number of times: more than
 * sockets hold.
 */
const PART = 64 * 1024;
const PARTS = 256;

/** Turns until something is so; fails where it does not come to be. */
function turnUntil(loop: Loop, isDone: () => boolean): void {
  const end = performance.now() + LIMIT;
  while (!isDone()) {
    assert(performance.now() < end, "It has not come to be");
    loop.turn(100);
  }
}

Deno.test({
  name:
    "a generator's sockets keep what the other side does not take, in order",
  ignore,
  fn: () => {
    using loop = new Loop();
    let received = 0;
    let wrong = 0;
    const port = loop.listen(() => ({
      read: (bytes, end) => {
        for (let i = 0; i < end; i++) {
          if (bytes[i] !== Math.floor((received + i) / PART) % 251) wrong++;
        }
        received += end;
      },
      closed: () => {},
    }));
    const fd = loop.connect(port, { read: () => {}, closed: () => {} });
    const part = new Uint8Array(PART);
    // Nothing is read before the first turn.
    for (let i = 0; i < PARTS; i++) loop.send(fd, part.fill(i % 251));
    turnUntil(loop, () => received >= PART * PARTS);
    assertEquals([received, wrong], [PART * PARTS, 0]);
  },
});

Deno.test({
  name: "a generator's sockets tell that the other side has closed",
  ignore,
  fn: () => {
    using loop = new Loop();
    let [text, closed] = ["", 0];
    const port = loop.listen((fd) => ({
      read: (bytes, end) => {
        loop.send(fd, bytes.slice(0, end));
        loop.close(fd);
      },
      closed: () => {},
    }));
    const fd = loop.connect(port, {
      read: (bytes, end) =>
        text += new TextDecoder().decode(bytes.subarray(0, end)),
      closed: () => closed++,
    });
    loop.send(fd, new TextEncoder().encode("hello"));
    turnUntil(loop, () => closed > 0);
    assertEquals([text, closed], ["hello", 1]);
  },
});

Deno.test({
  name: "a generator's sockets say where nobody listens",
  ignore,
  fn: () => {
    using loop = new Loop();
    const connect = () => loop.connect(1, { read() {}, closed() {} });
    assertThrows(connect, Error, "Cannot connect to port 1");
  },
});
