"""Which int8 recipe a graph gets: the ranges with the smallest map error, convolutions back to float if need be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import onnx

from .onnx_graph import GraphNames
from .options import ExportOptions
from .precision import least_correlation
from .quantize import Recipe, quantize
from .session import GraphSession
from .verify import MapErrors

RELEASE_STEPS = (0, 1, 2, 4)  # convolutions behind the stem kept in float; the first ones hurt most by far


@dataclass(frozen=True)
class Choice:
    """The graph, how it was made, and how every method tried fared (mean map error on the calibration clips)."""

    model: onnx.ModelProto
    recipe: Recipe
    errors: MapErrors
    tried: dict[str, float]


def choose(
    model: onnx.ModelProto,
    names: GraphNames,
    inputs: Sequence[npt.NDArray[Any]],
    evaluate: Callable[[GraphSession], MapErrors],
    options: ExportOptions,
    stage: Callable[[str], None],
) -> Choice:
    """Try the methods, keep the best; while its correlation misses the gate, release the next convolutions to float.

    `evaluate` runs a graph on the calibration clips. The last attempt is returned even when it is still below: the
    gate on the parity clips decides.
    """
    tried: dict[str, float] = {}
    best: Choice | None = None
    for released in RELEASE_STEPS:
        used = options.methods if best is None else (best.recipe.method,)
        for method in used:
            kept = f", {released} conv in float" if released else ""
            stage(f"{names.part}: int8, {method} ranges{kept}")
            recipe = Recipe(method, released)
            candidate = quantize(model, names, recipe, inputs)
            errors = evaluate(GraphSession(candidate.SerializeToString(), None, options.threads))
            tried[f"{method}+{released}" if released else method] = float(f"{errors.mean:.3g}")
            if best is None or errors.mean < best.errors.mean:
                best = Choice(candidate, recipe, errors, tried)
        assert best is not None
        if best.errors.correlation is not None and best.errors.correlation >= least_correlation(options.tolerance):
            break
    assert best is not None
    return best
