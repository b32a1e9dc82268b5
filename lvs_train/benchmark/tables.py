"""The test set in parts: by size of the target, by class, by lists of classes (heard, unheard).

Each line holds the centre disc and the image-only score of the same clips: unheard classes may simply be easier, as in
the published split, where the disc scores 3.5 points more on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import DataError

from ..data.annotations import Targets
from ..data.layouts import Clip

FIGURES = ("ciou_success", "auc", "mean_ciou", "adaptive_success", "adaptive_auc", "peak_in_box")
SHOWN = ("ciou_success", "auc", "peak_in_box")


class Tables:
    """`figures[row]` is (clips, len(FIGURES)) for the rows own, image_only, centre_disc."""

    def __init__(self, clips: Sequence[Clip], figures: Mapping[str, npt.NDArray[np.float64]], targets: Targets) -> None:
        self.figures = figures
        self.labels = [c.label or targets.annotation(c.id).label for c in clips]

    def by(self, names: Sequence[str | None], order: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
        """A line for each name, in `order` or sorted; clips without a name are left out."""
        known = order or sorted({n for n in names if n is not None})
        column = np.array([n or "" for n in names])
        return {name: self._line(column == name) for name in known if (column == name).any()}

    def groups(self, groups: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
        """A line for each list of classes. Raises `DataError` for a list that no clip is of."""
        found = {}
        for name, classes in groups.items():
            chosen = np.isin(np.array([label or "" for label in self.labels]), list(classes))
            if not chosen.any():
                raise DataError(f"{name}: no test clip is of its {len(classes)} classes, e.g. {list(classes)[:3]}")
            found[name] = self._line(chosen)
        return found

    def _line(self, chosen: npt.NDArray[np.bool_]) -> dict[str, float]:
        line: dict[str, float] = {"n": int(chosen.sum())}
        for name, figures in self.figures.items():
            prefix = "" if name == "own" else f"{name}_"
            for figure in SHOWN:
                line[prefix + figure] = float(figures[chosen, FIGURES.index(figure)].mean())
        return line
