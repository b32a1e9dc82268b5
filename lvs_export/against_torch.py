"""A finished bundle against its checkpoint in torch: the export's own gate, once more, on any clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import ParityError
from lvs_train.checkpoint import load

from .bundle_runs import Check, Run
from .gate import Precision, judge
from .graphs import reference_graph
from .maps import compare
from .material import Clip
from .verify import reference


def parity_check(bundle: Bundle, checkpoint: Path, clips: Sequence[Clip], found: Run) -> Check:
    """Judge the maps of a run by the precision that the bundle states."""
    model = load(checkpoint).model
    truth = reference(reference_graph(model, bundle.image, bundle.audio), clips)
    errors = compare(truth, found.maps)
    precision = Precision(next(iter(bundle.manifest.parts.values())).precision)
    text = f"worst {errors.worst:.1e}, mean {errors.mean:.1e}, correlation {errors.correlation or 0:.4f}"
    try:
        judge({"both": errors}, precision)
    except ParityError as error:
        return Check(f"equals {checkpoint.name}", passed=False, found=f"{text}; {str(error).split('; nothing')[0]}")
    return Check(f"equals {checkpoint.name}", passed=True, found=text)
