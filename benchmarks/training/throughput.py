"""Pairs a second, share of time spent waiting for data, memory: lvs-train's loop against an upstream-style one.

    python benchmarks/training/throughput.py [--batch 16] [--steps 6] [--rounds 3] [--seconds 3] [--json OUT]

Both train the same nets on the same drawn clips, read from the same files. First the losses are compared: the same
weights and the same inputs must give the same loss to 1e-4, or nothing is timed. Then both run in turns within one
process, and the median of the rounds' ratios is printed, because a shared machine's speed drifts. The upstream style
hears 10 s, as its code does; `same_window` gives it our seconds, so that the window's share of the gain can be seen.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from upstream_style import Clips, step

from lvs_runtime.spec import AudioSpec, ImageSpec
from lvs_train.config import from_mapping
from lvs_train.data.clips import write_clips
from lvs_train.distributed import World
from lvs_train.frontend import ImageNormalize, LogSpectrogram
from lvs_train.loop import Prefetch
from lvs_train.losses import trimap_loss
from lvs_train.model import DualResNet
from lvs_train.optim import make_optimiser
from lvs_train.prepare import stage_data
from lvs_train.stages import Inputs, TriMapObjective
from lvs_train.step import Stepper


def check_losses(root: Path, seconds: float, device: torch.device) -> tuple[float, float]:
    """Losses of both on the same weights and inputs; raises when they differ."""
    torch.manual_seed(0)
    model = DualResNet().to(device)
    data = Clips(root, seconds)
    images, sounds = (torch.stack(x).float() for x in zip(*(data[i] for i in range(6)), strict=True))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0)
    theirs = step(model, optimiser, (images, sounds), device)
    with torch.no_grad():
        ours = trimap_loss(model.cross(images.to(device), sounds.to(device))).item()
    if abs(ours - theirs) > 1e-4 * abs(theirs):
        raise SystemExit(f"losses differ: ours {ours}, upstream style {theirs}; nothing was timed")
    check_front_ends(root, sounds, seconds)
    return ours, theirs


def check_front_ends(root: Path, sounds: torch.Tensor, seconds: float) -> None:
    """Our spectrogram of the same clip equals scipy's."""
    import soundfile

    wave, rate = soundfile.read(root / "audio" / f"{Clips(root, seconds).ids[0]}.wav", dtype="float32")
    wanted = int(rate * seconds)
    wave = np.tile(wave, wanted // len(wave) + 1)[:wanted]
    ours = LogSpectrogram(AudioSpec(seconds=seconds))(torch.from_numpy(wave)[None])
    worst = (ours[0] - sounds[0]).abs().max().item()
    if worst > 1e-3:
        raise SystemExit(f"spectrograms differ by {worst}; nothing was timed")
    assert ImageNormalize().spec.size_px == 224


def upstream(root: Path, args: argparse.Namespace, seconds: float, device: torch.device) -> Callable[[int], float]:
    """A function that runs so many steps and returns the time spent waiting for data."""
    torch.manual_seed(0)
    model = DualResNet().to(device).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-4)
    data = Clips(root, seconds)
    loader = torch.utils.data.DataLoader(
        data, args.batch, shuffle=True, drop_last=True, num_workers=args.workers, persistent_workers=args.workers > 0
    )

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    source = batches()

    def run(steps: int) -> float:
        waited = 0.0
        for _ in range(steps):
            start = time.perf_counter()
            batch = next(source)
            waited += time.perf_counter() - start
            step(model, optimiser, batch, device)
        return waited

    return run


def ours(root: Path, args: argparse.Namespace, device: torch.device) -> Callable[[int], float]:
    """The same with the parts of lvs_train.loop."""
    torch.manual_seed(0)
    values = {
        "precision": args.precision, "workers": args.workers, "data": {"clips": [str(root)], "drawn_weight": 0.0},
        "augment": {"picture": "none", "spectrogram": "none"},
        "stages": [{"name": "a", "steps": 10**6, "batch_size": args.batch, "seconds": [args.seconds, args.seconds]}],
    }  # fmt: skip
    recipe = from_mapping(values)
    stage, audio, image = recipe.stages[0], AudioSpec(seconds=args.seconds), ImageSpec()
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    model: Any = DualResNet().to(device, memory_format=layout)  # type: ignore[call-overload]
    inputs = Inputs(audio, image, device, recipe.channels_last)
    objective = TriMapObjective(recipe.loss, recipe.augment, inputs, model)
    stepper = Stepper(model, objective, make_optimiser(model, stage, objective), recipe, stage, device, World())
    prefetch = Prefetch(stage_data(recipe, stage, audio, image, 0), 0, 10**6, args.workers)
    source, number = iter(prefetch), cycle([0])

    def run(steps: int) -> float:
        before = prefetch.wait_s
        for batch in islice(source, steps):
            stepper(next(number), [batch])
        return prefetch.wait_s - before

    return run


def measure(runs: dict[str, Callable[[int], float]], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rounds in turns, one warm-up round left out."""
    rows = []
    for number in range(args.rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            waited = run(args.steps)
            took = time.perf_counter() - start
            rate = args.steps * args.batch / took
            if number:
                rows.append({"loop": name, "round": number, "pairs_per_s": rate, "wait_share": waited / took})
                print(
                    f"round {number}: {name:<22} {rate:7.2f} pairs/s  data wait {100 * waited / took:.0f} %", flush=True
                )
    return rows


def main() -> int:
    """Check, time, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's choice; 1 on a busy machine")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "clips"
        write_clips(from_mapping({"stages": [{"name": "a", "steps": 1, "batch_size": 16}]}), root, args.clips)
        losses = check_losses(root, args.seconds, device)
        print(f"equal losses: ours {losses[0]:.6f}, upstream style {losses[1]:.6f}")
        runs = {
            "lvs-train": ours(root, args, device),
            "upstream_style": upstream(root, args, 10.0, device),
            "same_window": upstream(root, args, args.seconds, device),
        }
        rows = measure(runs, args)
    rates = {name: [r["pairs_per_s"] for r in rows if r["loop"] == name] for name in runs}
    ratios = {
        name: statistics.median(a / b for a, b in zip(rates["lvs-train"], rates[name], strict=True))
        for name in ("upstream_style", "same_window")
    }
    report = {
        "date": datetime.now(timezone.utc).date().isoformat(), "command": " ".join(sys.argv),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {args.device}",
        "equal_losses": losses, "median_ratio": ratios, "rounds": rows,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_gpu_bytes": torch.cuda.max_memory_allocated() if device.type == "cuda" else 0,
    }  # fmt: skip
    print(json.dumps({"median_ratio": ratios}))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
