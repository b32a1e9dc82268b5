"""Two localizers in one interleaved run on the same inputs, their maps compared first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from . import paired, single

if TYPE_CHECKING:
    from ..localizer import Localizer

WARMUP = 10


def run(pair: Sequence[Localizer], names: tuple[str, str], seconds: float) -> dict[str, Any]:
    """The `comparison` block: p50 and p95 of B / A, A / A as control, and how far the maps are apart."""
    a, b = pair
    inputs = single.drawn_inputs(a.bundle.audio.sample_rate, a.bundle.live_seconds)
    apart = [float(np.abs(_map(a, item) - _map(b, item)).max()) for item in inputs]
    arms = [_arm(a, inputs), _arm(b, inputs), _arm(a, inputs)]
    for arm in arms:
        for _ in range(WARMUP):
            arm()
    once_ms = sum(arm() for arm in arms)
    rounds = max(4, round(seconds * 1e3 / (once_ms * paired.BLOCK_RUNS)))
    first, other, again = paired.interleave(arms, rounds)
    ratios = {f"p{p}": paired.paired_ratio(first, other, p) for p in (50, 95)}
    control = paired.paired_ratio(first, again)
    return {
        "what": "total, interleaved",
        "a": f"{names[0]} ({a.bundle.name}, {a.device}, {a.provider})",
        "b": f"{names[1]} ({b.bundle.name}, {b.device}, {b.provider})",
        "pairs": len(first),
        "runs_in_a_block": paired.BLOCK_RUNS,
        **{name: ratio.as_dict() for name, ratio in ratios.items()},
        "control": control.as_dict(),
        "map_max_abs": round(max(apart), 6),
        "verdict": paired.verdict(ratios["p50"], control),
        "warnings": [f"similarity maps of A and B differ by up to {max(apart):.4f}"] if max(apart) > 1e-3 else [],
    }


def _map(localizer: Localizer, item: tuple[Any, Any]) -> Any:
    frame, waveform = item
    return localizer.similarity(localizer.embed_image(frame), localizer.embed_audio(waveform))


def _arm(localizer: Localizer, inputs: list[Any]) -> Callable[[], float]:
    source = cycle(inputs)

    def work() -> None:
        frame, waveform = next(source)
        localizer.localize(frame, waveform, localizer.bundle.audio.sample_rate)

    return paired.timed(work)
