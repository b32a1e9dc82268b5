"""Which int8 recipe a graph gets: the ranges that the maps like best, the convolutions that hurt back to float."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy.typing as npt
import onnx

from . import saturation
from .gate import int8_fault
from .maps import MapErrors
from .onnx_graph import GraphNames
from .options import ExportOptions
from .quantize import Recipe, num_block_convs, quantize
from .saturation import Saturation
from .session import GraphSession

RELEASE_STEPS = (1, 2, 4)  # convolutions kept in float; the first ones hurt most by far
SENSITIVITY_CLIPS = 4
SATURATION_CLIPS = 2
Evaluate = Callable[[GraphSession], MapErrors]


@dataclass(frozen=True)
class Choice:
    """The graph, how it was made, and how every recipe tried fared (mean map error on the calibration clips).

    `sensitivity`: mean map error with one convolution alone in int8, by its number behind the stem, worst first;
    empty where nobody asked and the gate was passed without. `saturation` is None for TensorRT.
    """

    model: onnx.ModelProto
    recipe: Recipe
    errors: MapErrors
    tried: dict[str, float]
    sensitivity: dict[int, float] = field(default_factory=dict)
    saturation: Saturation | None = None


@dataclass(frozen=True)
class Chooser:
    """One float graph with its calibration inputs; `evaluate` runs a candidate on the calibration clips."""

    model: onnx.ModelProto
    names: GraphNames
    inputs: Sequence[npt.NDArray[Any]]
    evaluate: Evaluate
    options: ExportOptions
    stage: Callable[[str], None]

    def choose(self) -> Choice:
        """Try the range methods; while the gate is missed, release the most sensitive convolutions to float.

        The last attempt is returned even when it is still below: the gate on the parity clips decides.
        """
        tried: dict[str, float] = {}
        symmetric = self.options.target == "tensorrt"
        recipes = [Recipe(m, (), self.options.reduce_range, symmetric) for m in self.options.methods]
        best = min((self._try(recipe, tried) for recipe in recipes), key=self._rank)
        hurting = self.sensitivity(best.recipe) if self.options.sensitivity or self._fails(best) else {}
        for released in RELEASE_STEPS:
            if not self._fails(best):
                break
            recipe = replace(best.recipe, float_convs=tuple(sorted(list(hurting)[:released])))
            best = min(best, self._try(recipe, tried), key=self._rank)
        best = replace(best, tried=tried, sensitivity=hurting)
        return best if symmetric else self._safe_sums(best, tried)

    def release(self, choice: Choice, number: int) -> Choice:
        """The same recipe with the `number` most sensitive convolutions in float, whatever calibration clips say."""
        hurting = choice.sensitivity or self.sensitivity(choice.recipe)
        recipe = replace(choice.recipe, float_convs=tuple(sorted(list(hurting)[:number])))
        tried = dict(choice.tried)
        return replace(self._try(recipe, tried), tried=tried, sensitivity=hurting, saturation=choice.saturation)

    def sensitivity(self, recipe: Recipe) -> dict[int, float]:
        """Mean map error with each convolution alone in int8, worst first."""
        count = num_block_convs(self.model)
        few = replace(self, inputs=self.inputs[:SENSITIVITY_CLIPS])
        errors = {}
        for number in range(count):
            self.stage(f"{self.names.part}: sensitivity of convolution {number + 1} of {count}")
            others = tuple(n for n in range(count) if n != number)
            errors[number] = few._try(replace(recipe, float_convs=others, alone=True), {}).errors.mean
        return dict(sorted(errors.items(), key=lambda item: -item[1]))

    def _safe_sums(self, best: Choice, tried: dict[str, float]) -> Choice:
        """7-bit weights where too many 16-bit sums of CPUs without VNNI saturate on the calibration clips."""
        self.stage(f"{self.names.part}: 16-bit sums of CPUs without VNNI")
        found = saturation.measure(best.model, self.names.inputs[0], self.inputs[:SATURATION_CLIPS])
        if found.harmful and not best.recipe.reduce_range:
            safe = self._try(replace(best.recipe, reduce_range=True), tried)
            again = saturation.measure(safe.model, self.names.inputs[0], self.inputs[:SATURATION_CLIPS])
            return replace(safe, tried=tried, sensitivity=best.sensitivity, saturation=again)
        return replace(best, saturation=found)

    def _try(self, recipe: Recipe, tried: dict[str, float]) -> Choice:
        words = _words(recipe)
        if not recipe.alone:
            self.stage(f"{self.names.part}: int8, {words}")
        candidate = quantize(self.model, self.names, recipe, self.inputs)
        errors = self.evaluate(GraphSession(candidate.SerializeToString(), None, self.options.threads))
        tried[words] = float(f"{errors.mean:.3g}")
        return Choice(candidate, recipe, errors, {})

    def _fails(self, choice: Choice) -> bool:
        return int8_fault(choice.errors, self.options.tolerance) is not None

    def _rank(self, choice: Choice) -> tuple[bool, float]:
        """Those that pass the gate first (correlation, and the metric where clips have boxes), then the mean error."""
        return self._fails(choice), choice.errors.mean


def _words(recipe: Recipe) -> str:
    words = [f"{recipe.method} ranges"]
    if recipe.float_convs:
        words.append(f"convolutions {', '.join(str(n) for n in recipe.float_convs)} in float")
    if recipe.reduce_range:
        words.append("7-bit weights")
    return ", ".join(words)
