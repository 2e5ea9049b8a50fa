#!/usr/bin/env python3
"""Follows a topic over SSE, and comes back where it was when the connection breaks.

    follow_sse.py http://localhost:8787/topics/news [TOKEN]

Needs httpx: pip install httpx, or apt-get install python3-httpx. Prints the data of each
event. Exits with 0 if the topic is complete, and with 1 if it ended otherwise.
"""

import json
import random
import sys
import time

import httpx


def read_events(lines):
    """Yields (event, data, id) for each event of a stream, by the WHATWG standard."""
    event, data, last_id = "", [], ""
    for line in lines:
        if line == "":
            if data:
                yield event or "message", "\n".join(data), last_id
            event, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "event":
            event = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last_id = value


def sse_lines(response):
    """Yields the lines of a response; unlike iter_lines(), only LF ends one."""
    rest = ""
    for text in response.iter_text():
        *lines, rest = (rest + text).split("\n")
        yield from lines


def follow(url, token=None):
    """Prints the events of a topic; returns how it ended."""
    position, failures = "start", 0
    headers = {"Accept": "text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    # The relay sends a comment at least every 15 s: more silence is a lost connection.
    timeout = httpx.Timeout(10, read=45)
    while True:
        try:
            with httpx.stream(
                "GET", url, headers=headers, params={"after": position}, timeout=timeout
            ) as response:
                if response.status_code == 204:  # nothing comes after this position
                    return response.headers.get("Rivulet-End")
                if response.status_code in (429, 503):
                    raise httpx.TransportError(f"HTTP {response.status_code}")
                if response.status_code != 200:
                    sys.exit(f"Refused: {response.read().decode()}")
                for event, data, event_id in read_events(sse_lines(response)):
                    if event == "rivulet.end":
                        return json.loads(data)["status"]
                    if event == "rivulet.gap":
                        print(f"Missing events: {data}", file=sys.stderr)
                    elif not event.startswith("rivulet."):
                        print(data, flush=True)
                    if event_id:
                        position = event_id
                    failures = 0
        except httpx.TransportError as error:
            print(f"Connecting again: {error}", file=sys.stderr)
        # With jitter, so that not everybody comes back at once.
        failures += 1
        time.sleep(random.uniform(0, min(30, 0.5 * 2**failures)))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    status = follow(*sys.argv[1:])
    print(f"The topic is {status}", file=sys.stderr)
    sys.exit(0 if status == "complete" else 1)
