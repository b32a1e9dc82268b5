"""`python -m lvs_runtime.drawn --out demo.mp4 --seed 0`: write a demo clip and its truth."""

from __future__ import annotations

import sys
from pathlib import Path

import tyro

from ..errors import LvsError
from .demo import write_demo


def main(
    out: Path = Path("demo.mp4"),
    seed: int = 0,
    size: tuple[int, int] = (640, 360),
    fps: int = 25,
    seconds: float = 10.0,
    debug: bool = False,
) -> None:
    """Write a clip of the drawn world, and beside it what is true in every frame, as JSON lines.

    Args:
        out: the clip (.mp4); the truth gets the suffix .truth.jsonl.
        seed: any number from 0; the same seed gives the same scene.
        size: width and height, px.
        fps: frames a second.
        seconds: length of the clip, s.
        debug: show the traceback of an error.
    """
    try:
        truth = write_demo(out, seed, size, fps, seconds)
    except LvsError as error:
        if debug:
            raise
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    print(f"{out} ({out.stat().st_size / 1e6:.2f} MB), {truth}")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m lvs_runtime.drawn")
