#!/usr/bin/env python3
"""Publishes each line of stdin as an event, exactly once, and ends the topic.

    make 2>&1 | publish.py http://localhost:8787/topics/builds [TOKEN]

Needs httpx: pip install httpx, or apt-get install python3-httpx.
"""

import sys
import time
import uuid

import httpx

ATTEMPTS = 8


def post(client, url, body, headers):
    """Posts until there is an answer; the relay takes a key that it knows only once."""
    for attempt in range(ATTEMPTS):
        wait = 0.2 * 2**attempt
        try:
            response = client.post(url, content=body, headers=headers)
            if response.status_code not in (429, 503):
                response.raise_for_status()
                return
            wait = float(response.headers.get("Retry-After", wait))
        except httpx.TransportError as error:
            if attempt == ATTEMPTS - 1:
                raise
            print(f"Again: {error}", file=sys.stderr)
        time.sleep(wait)
    sys.exit(f"Nothing was accepted by {url}")


def main(url, token=None):
    authorization = {"Authorization": f"Bearer {token}"} if token else {}
    run = uuid.uuid4()
    with httpx.Client(headers=authorization, timeout=10) as client:
        for number, line in enumerate(sys.stdin):
            headers = {
                "Content-Type": "text/plain; charset=utf-8",
                "Idempotency-Key": f"{run}-{number}",
            }
            post(client, url, line.rstrip("\n").encode(), headers)
        end = {"Content-Type": "application/json"}
        post(client, f"{url}/end", b'{"status": "complete"}', end)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
