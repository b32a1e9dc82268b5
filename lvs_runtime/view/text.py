"""Smooth text without a font library: glyphs of DejaVu Sans, drawn once at six sizes (see `font.LICENSE.txt`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
import numpy.typing as npt

SIZES_PX = (12, 15, 18, 22, 28, 36)
_MARGIN_PX = 2  # room on either side of each glyph in the atlas


@dataclass(frozen=True, slots=True, eq=False)
class Font:
    """Coverage (0...255) of each glyph, and how far it moves the pen, at one size."""

    height_px: int
    glyphs: dict[str, npt.NDArray[np.uint8]]
    advances_px: dict[str, int]

    def width_px(self, text: str) -> int:
        """Width of one line of text."""
        return sum(self.advances_px.get(char, self.advances_px["?"]) for char in text)


@lru_cache(maxsize=len(SIZES_PX))
def _load(size_px: int) -> Font:
    path = resources.files(__package__).joinpath("font.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        chars = [chr(code) for code in data["chars"]]
        advances = data[f"advance_{size_px}"].tolist()
        atlas = data[f"atlas_{size_px}"]
    glyphs, left = {}, 0
    for char, advance in zip(chars, advances, strict=True):
        width = advance + 2 * _MARGIN_PX
        glyphs[char] = atlas[:, left : left + width]
        left += width
    return Font(atlas.shape[0], glyphs, dict(zip(chars, advances, strict=True)))


def font_for(size_px: float) -> Font:
    """The largest drawn size not above `size_px` (the smallest, 12 px, below that)."""
    return _load(max((size for size in SIZES_PX if size <= size_px), default=SIZES_PX[0]))


@lru_cache(maxsize=512)
def coverage(text: str, font: Font) -> npt.NDArray[np.uint8]:
    """One line of text as coverage, (height, width) uint8; characters the font lacks become "?"."""
    line = np.zeros((font.height_px, font.width_px(text) + 2 * _MARGIN_PX), np.uint8)
    pen = 0
    for char in text:
        known = char if char in font.glyphs else "?"
        glyph = font.glyphs[known]
        part = line[:, pen : pen + glyph.shape[1]]
        np.maximum(part, glyph, out=part)
        pen += font.advances_px[known]
    return line
