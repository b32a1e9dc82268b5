"""Precision of an export and the gate that it must pass: how far maps may move, how much of the metric may be lost."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from lvs_runtime.errors import ParityError

from .maps import CONTRAST, MapErrors


class Precision(str, Enum):
    """How the trunks' weights are stored. Values: fp32, fp16, int8."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


MAP_TOLERANCE = {Precision.FP32: 1e-4, Precision.FP16: 2e-3}
MIN_CORRELATION = 0.99  # int8 is judged by the shape of the map and by the metric, not by each value
MAX_LOSS = 0.01  # of peak-in-box and of mean cIoU against float, on the same clips


def least_correlation(tolerance: float | None) -> float:
    """Mean map correlation that int8 must reach: 0.99, or 1 - `tolerance`."""
    return MIN_CORRELATION if tolerance is None else 1 - tolerance


def int8_fault(found: MapErrors, tolerance: float | None = None) -> str | None:
    """Why an int8 graph with these errors fails the gate; None when it passes.

    The metric counts where clips have boxes: one point of each may be lost, of peak-in-box a single clip always (fewer
    than a hundred clips cannot show one point).
    """
    least = least_correlation(tolerance)
    if found.correlation is None:
        return f"no map of {found.clips} clips has contrast (deviation >= {CONTRAST}) to judge int8 by"
    if found.correlation < least:
        worst = f"(worst clip {found.worst_correlation:.4f})"
        return f"map correlation {found.correlation:.4f} < {least:g} {worst}"
    if tolerance is not None or not found.clips_with_box:
        return None
    one_clip = 1 / found.clips_with_box
    for name, now, before, allowed in (
        ("peak-in-box", found.peak_in_box, found.peak_in_box_torch, max(MAX_LOSS, one_clip)),
        ("cIoU", found.ciou, found.ciou_torch, MAX_LOSS),
    ):
        assert now is not None
        assert before is not None
        if before - now > allowed + 1e-9:
            return (
                f"{name} falls from {before:.1%} to {now:.1%} on {found.clips_with_box} clips (allowed: {allowed:.1%})"
            )
    return None


def judge(errors: Mapping[str, MapErrors], precision: Precision, tolerance: float | None = None) -> None:
    """Raise ParityError, naming part and clip, when any part is out of tolerance.

    fp32 and fp16: worst error of any cell. int8: see `int8_fault`. `tolerance` replaces 1e-4 and 2e-3; for int8 it is
    the allowed lack of correlation (0.01), and the metric then is not judged.
    """
    for part, found in errors.items():
        if precision is Precision.INT8:
            fault = int8_fault(found, tolerance)
            if fault:
                raise ParityError(
                    f"{part}, int8: {fault}; nothing written. Give more typical clips with --calib, train longer, or "
                    "export --fp16"
                )
            continue
        most = MAP_TOLERANCE[precision] if tolerance is None else tolerance
        if found.worst > most:
            raise ParityError(
                f"{part}, {precision.value}: worst map error {found.worst:.2g} > {most:g} on clip {found.worst_clip}; "
                "nothing written. Export with --precision fp32, or raise --tolerance"
            )
