"""500 clips of two codecs and three frame rates, cut and re-encoded from a folder of videos.

    python benchmarks/archives/make_clips.py VIDEOS OUT [--count 500] [--seconds 4]

Where no folder of videos is at hand, the drawn world (`python -m lvs_runtime.drawn`) makes one. Deterministic: the
i-th clip is always the same stretch of the same video, in codec i mod 2 and rate i mod 3.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CODECS = (("h264", "mp4", ["-c:v", "libx264", "-preset", "veryfast"]), ("mpeg4", "mkv", ["-c:v", "mpeg4", "-q:v", "4"]))
RATES = ("15", "25", "30000/1001")
SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".mpg", ".avi"}


def clip_command(video: Path, out: Path, number: int, seconds: float) -> list[str]:
    """FFmpeg's command for one clip; the start moves with each use of the video, and wraps at two seconds."""
    codec, suffix, options = CODECS[number % 2]
    rate = RATES[number % 3]
    target = out / f"{number:04d}-{codec}-{rate.split('/')[0]}.{suffix}"
    start = (number * 0.37) % 2.0
    size = ["-vf", f"scale='min(iw,640)':-2,fps={rate}"]
    # A different comment for each clip: contents differ even where the same stretch is cut twice.
    return [
        *["ffmpeg", "-v", "error", "-nostdin", "-y", "-ss", f"{start:.2f}", "-t", str(seconds), "-i", str(video)],
        *[*size, *options, "-g", "50", "-threads", "1", "-c:a", "aac", "-b:a", "96k"],
        *["-metadata", f"comment=clip {number}", str(target)],
    ]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=4.0)
    asked = parser.parse_args()
    videos = sorted(p for folder in asked.videos for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not videos:
        sys.exit(f"no videos in {', '.join(map(str, asked.videos))}")
    asked.out.mkdir(parents=True, exist_ok=True)
    commands = [clip_command(videos[i % len(videos)], asked.out, i, asked.seconds) for i in range(asked.count)]
    todo = [command for command in commands if not Path(command[-1]).exists()]
    with ThreadPoolExecutor(2) as pool:
        failed = sum(done.returncode != 0 for done in pool.map(lambda c: subprocess.run(c, check=False), todo))
    print(f"{len(commands)} clips in {asked.out}, {failed} failed")


if __name__ == "__main__":
    main()
