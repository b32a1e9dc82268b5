"""One viewer of the web page, as a browser behaves: every picture is acknowledged when it has come.

python benchmarks/live/viewer.py PORT       runs until the page is gone; then prints how many pictures came
"""

from __future__ import annotations

import sys
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect


def watch(port: int) -> int:
    """Pictures seen until the page ended."""
    pictures, end_s = 0, time.monotonic() + 60
    while True:
        try:
            with connect(f"ws://127.0.0.1:{port}/ws", max_size=None) as socket:
                for message in socket:
                    if isinstance(message, bytes):
                        pictures += 1
                        socket.send("a")
            return pictures
        except (OSError, WebSocketException):
            if pictures or time.monotonic() > end_s:
                return pictures
            time.sleep(0.1)


if __name__ == "__main__":
    print(watch(int(sys.argv[1])), flush=True)
