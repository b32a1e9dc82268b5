"""How one individual of a class looks: its colours and its proportions, drawn once and kept while it moves."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from .canvas import Colour

NUM_PROPORTIONS = 8
Hsv = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]  # low and high of hue, saturation, value

ANY: Hsv = ((0.0, 1.0), (0.25, 0.95), (0.35, 0.98))
CREAM: Hsv = ((0.08, 0.16), (0.05, 0.25), (0.9, 1.0))
DARK: Hsv = ((0.0, 1.0), (0.1, 0.5), (0.12, 0.26))
STEEL: Hsv = ((0.55, 0.65), (0.03, 0.15), (0.6, 0.85))
GLASS: Hsv = ((0.5, 0.58), (0.2, 0.4), (0.85, 1.0))
BRIGHT: tuple[Hsv, ...] = (
    ((0.98, 1.02), (0.68, 0.84), (0.82, 0.95)),  # red
    ((0.05, 0.08), (0.70, 0.86), (0.90, 0.98)),  # orange
    ((0.12, 0.14), (0.65, 0.80), (0.92, 0.99)),  # yellow
    ((0.36, 0.43), (0.45, 0.70), (0.55, 0.78)),  # green
    ((0.47, 0.52), (0.55, 0.80), (0.60, 0.80)),  # teal
    ((0.55, 0.61), (0.55, 0.80), (0.80, 0.95)),  # blue
    ((0.68, 0.75), (0.45, 0.65), (0.70, 0.88)),  # violet
    ((0.92, 0.96), (0.45, 0.70), (0.88, 0.97)),  # pink
)

# What each class usually looks like: main, second, accent. A share of the individuals breaks with it.
USUAL: dict[str, tuple[tuple[Hsv, ...], tuple[Hsv, ...], tuple[Hsv, ...]]] = {
    "bell": ((((0.10, 0.14), (0.6, 0.8), (0.85, 0.98)),), (((0.07, 0.1), (0.6, 0.8), (0.6, 0.8)),), (DARK,)),
    "drum": (BRIGHT, (CREAM,), (((0.1, 0.14), (0.5, 0.75), (0.85, 0.98)),)),
    "siren": (
        (((0.97, 1.01), (0.75, 0.92), (0.85, 0.97)), ((0.58, 0.63), (0.7, 0.9), (0.8, 0.97))),
        (STEEL,),
        (((0.12, 0.15), (0.3, 0.6), (0.95, 1.0)),),
    ),
    "engine": (BRIGHT, (GLASS,), (((0.12, 0.15), (0.4, 0.7), (0.95, 1.0)),)),
    "bird": (BRIGHT, (CREAM,), (((0.05, 0.12), (0.8, 0.95), (0.9, 1.0)),)),
    "voice": (
        (((0.05, 0.08), (0.25, 0.42), (0.9, 0.99)), ((0.05, 0.07), (0.42, 0.58), (0.45, 0.75))),
        (((0.03, 0.13), (0.3, 0.85), (0.12, 0.75)),),
        BRIGHT,
    ),
    "clock": (BRIGHT, (CREAM,), (((0.97, 1.02), (0.75, 0.9), (0.75, 0.92)),)),
    "kettle": ((*BRIGHT, STEEL), (STEEL,), (DARK,)),
}


@dataclass(frozen=True, slots=True)
class Look:
    """Colours (RGB in [0, 1]) and `proportions`, numbers in [0, 1] whose meaning each drawing decides."""

    main: Colour
    second: Colour
    accent: Colour
    dark: Colour
    proportions: tuple[float, ...]

    def mix(self, index: int, low: float, high: float) -> float:
        """Proportion `index` mapped to `low`...`high`."""
        return low + (high - low) * self.proportions[index]


def pick_colour(rng: np.random.Generator, family: Hsv = ANY) -> Colour:
    """A colour of that family, RGB in [0, 1]."""
    hue, saturation, value = (low + (high - low) * float(rng.random()) for low, high in family)
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


def shade(colour: Colour, factor: float) -> Colour:
    """Darker (< 1) or, towards white, lighter (> 1)."""
    if factor <= 1.0:
        return colour[0] * factor, colour[1] * factor, colour[2] * factor
    up = factor - 1.0
    return colour[0] + (1 - colour[0]) * up, colour[1] + (1 - colour[1]) * up, colour[2] + (1 - colour[2]) * up


def new_look(name: str, rng: np.random.Generator, usual: float = 0.7) -> Look:
    """A new individual of class `name`; with probability `usual` its colours are those one expects of it."""
    families = USUAL[name] if rng.random() < usual else ((ANY,), (ANY,), (ANY,))
    main, second, accent = (pick_colour(rng, family[int(rng.integers(len(family)))]) for family in families)
    return Look(
        main=main,
        second=second,
        accent=accent,
        dark=pick_colour(rng, DARK),
        proportions=tuple(float(v) for v in rng.random(NUM_PROPORTIONS)),
    )
