"""Senders for the stream tests: a network camera's motion JPEG over HTTP, and MPEG-TS over UDP.

    python stream_sender.py http PORT [--password WORD]     http://127.0.0.1:PORT/cam.mjpeg   320 x 240, 15 a second
    python stream_sender.py udp PORT                        udp://127.0.0.1:PORT              with a beep each second

Each frame is sent when it is due; what is seen differs from frame to frame.
"""

from __future__ import annotations

import argparse
import base64
import http.server
import time
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

FPS, RATE = 15, 16_000


def pictures() -> Iterator[np.ndarray]:
    """A bright square that walks over noise, one each 1/15 s."""
    rng = np.random.default_rng(0)
    start_s, index = time.monotonic(), 0
    while True:
        image = rng.integers(16, 40, (240, 320, 3), dtype=np.uint8)
        left = 3 * index % 260
        image[60:120, left : left + 60] = 235
        yield image
        index += 1
        time.sleep(max(0.0, start_s + index / FPS - time.monotonic()))


class Camera(http.server.BaseHTTPRequestHandler):
    """multipart/x-mixed-replace, as network cameras send it."""

    password = ""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"me:{self.password}".encode()).decode()
        if self.password and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 320, 240, "yuvj420p", Fraction(1, FPS)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for image in pictures():
                frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuvj420p")
                jpeg = b"".join(bytes(packet) for packet in encoder.encode(frame))
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            return  # the viewer has left

    def log_message(self, *args: object) -> None:
        """Quiet."""


def send_udp(port: int) -> None:
    container = av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts", options={"flush_packets": "1"})
    video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
    video.width, video.height, video.pix_fmt, video.codec_context.gop_size = 320, 240, "yuv420p", FPS
    sound = container.add_stream("aac", rate=RATE, layout="mono")
    sounded = 0
    for index, image in enumerate(pictures()):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        container.mux(video.encode(frame))
        while (sounded + 1024) / RATE < (index + 1) / FPS:
            at = (sounded + np.arange(1024)) / RATE
            wave = np.where(at % 1 < 0.3, 0.3 * np.sin(2 * np.pi * 1000 * at), 0) + 1e-4 * np.sin(at * 1e4)
            block = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = RATE, sounded, Fraction(1, RATE)
            container.mux(sound.encode(block))
            sounded += 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("http", "udp"))
    parser.add_argument("port", type=int)
    parser.add_argument("--password", default="")
    args = parser.parse_args()
    print("ready", flush=True)
    if args.kind == "udp":
        send_udp(args.port)
    Camera.password = args.password
    http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Camera).serve_forever()


if __name__ == "__main__":
    main()
