"""Many channels to one, without being fooled by a dead or an inverted one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_DECIDE_SAMPLES = 48_000  # about a second
_DEAD_RATIO = 1e-3  # energy against the loudest channel: 30 dB
_INVERTED = -0.5  # correlation


class MonoMix:
    """Mean of the channels; the loudest one alone while another is dead or inverted. Decided anew each second."""

    def __init__(self) -> None:
        self.channel: int | None = None  # None: the mean
        self._products: npt.NDArray[np.float64] | None = None
        self._seen = 0

    def mix(self, block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n, channels) to (n,) float32."""
        if block.shape[1] == 1:
            return np.ascontiguousarray(block[:, 0])
        self._learn(block)
        if self.channel is not None:
            return np.ascontiguousarray(block[:, self.channel])
        mean: npt.NDArray[np.float32] = block.mean(axis=1, dtype=np.float32)
        return mean

    def _learn(self, block: npt.NDArray[np.float32]) -> None:
        products = block.T.astype(np.float64) @ block
        # The first block already decides, so that a dead channel never halves the level; later seconds may revise.
        first = self._products is None
        self._products = products if self._products is None else self._products + products
        self._seen += len(block)
        if first or self._seen >= _DECIDE_SAMPLES:
            self.channel = choose_channel(self._products)
        if self._seen >= _DECIDE_SAMPLES:
            self._products, self._seen = self._products * 0.0, 0


def choose_channel(products: npt.NDArray[np.float64]) -> int | None:
    """The channel to use alone, or None for the mean; `products` is the (c, c) matrix of summed products."""
    energy = np.diag(products)
    loudest = int(energy.argmax())
    if energy[loudest] <= 0:
        return None
    if energy.min() < _DEAD_RATIO * energy[loudest]:
        return loudest
    correlation = products[loudest] / np.sqrt(energy[loudest] * energy)
    return loudest if correlation.min() < _INVERTED else None
