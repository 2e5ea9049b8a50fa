#!/usr/bin/env python3
"""Follows a topic over WebSocket, and comes back where it was when the connection breaks.

    follow_websocket.py ws://localhost:8787/topics/news [TOKEN]

Needs websockets: pip install websockets, or apt-get install python3-websockets. Prints
the data of each event. Exits with 0 if the topic is complete, and with 1 if it ended
otherwise.
"""

import asyncio
import base64
import json
import random
import sys

import websockets


async def follow(url, token=None):
    """Prints the events of a topic; returns how it ended."""
    position, failures = "start", 0
    protocols = ["rivulet.v1"]
    if token:  # in a subprotocol, as browsers have to do it
        encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
        protocols.append(f"bearer.{encoded}")
    while True:
        try:
            async with websockets.connect(
                f"{url}?after={position}", subprotocols=protocols
            ) as socket:
                epoch = None
                async for text in socket:
                    message = json.loads(text)
                    kind = message["type"]
                    if kind == "subscribed":
                        epoch = message["epoch"]
                    elif kind == "events":
                        for event in message["events"]:
                            print(event["data"], flush=True)
                        last = message["offset"] + len(message["events"]) - 1
                        position = f"{epoch}:{last}"
                    elif kind == "gap":
                        print(f"Missing events: {text}", file=sys.stderr)
                        position = f"{epoch}:{message['to']}"
                    elif kind == "end":
                        return message["status"]
                    elif kind == "error" and not message["retryable"]:
                        sys.exit(f"Refused: {message['message']}")
                    # Other types are for those who want to know more.
                    failures = 0
        except websockets.InvalidStatusCode as error:
            if error.status_code not in (429, 503):
                sys.exit(f"Refused: {error}")
        except (OSError, websockets.WebSocketException) as error:
            # 45xx says that it makes no sense to come back.
            if isinstance(error, websockets.ConnectionClosed) and error.code // 100 == 45:
                sys.exit(f"Refused: {error}")
            print(f"Connecting again: {error}", file=sys.stderr)
        # With jitter, so that not everybody comes back at once.
        failures += 1
        await asyncio.sleep(random.uniform(0, min(30, 0.5 * 2**failures)))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    status = asyncio.run(follow(*sys.argv[1:]))
    print(f"The topic is {status}", file=sys.stderr)
    sys.exit(0 if status == "complete" else 1)
