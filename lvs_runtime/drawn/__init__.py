"""The drawn world: pictures and sounds made from a seed, so that demo, tests and training need nobody's data.

training_pair(rng)      one picture with several objects, and the sound of one of them (or none, or an absent one)
scene(seed)             objects that move and take turns: frames, sound and truth at any time
write_demo(path, seed)  a scene as an mp4 file with its truth beside it
"""

from __future__ import annotations

from .demo import write_demo
from .pair import NOWHERE, SILENCE, Pair, silent_pair, training_pair
from .picture import CLASSES
from .scene import ObjectTruth, Scene, scene
from .timeline import Turn

__all__ = [
    "CLASSES",
    "NOWHERE",
    "SILENCE",
    "ObjectTruth",
    "Pair",
    "Scene",
    "Turn",
    "scene",
    "silent_pair",
    "training_pair",
    "write_demo",
]
