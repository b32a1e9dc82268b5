"""Recipes: a TOML file becomes typed, checked settings; an unknown key names its nearest neighbour."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

from lvs_runtime.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover (the same parser under its old name)
    import tomli as tomllib

Positive = msgspec.Meta(gt=0)


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: immutable, keyword-only, refuses unknown keys."""


class Loss(Struct, frozen=True, kw_only=True):
    """The tri-map loss; see lvs_train.losses.TriMapConfig."""

    epsilon_pos: float = 0.65
    epsilon_neg: float = 0.4
    tau: float = 0.03
    temperature: float = 0.07
    hard_negatives: bool = True
    tri_map: bool = True
    form: Literal["code", "paper"] = "code"
    directions: Literal["image", "audio", "both"] = "image"


class Data(Struct, frozen=True, kw_only=True):
    """Where the material lies and how it is mixed. Weights of 0 leave a source out."""

    material: list[str] = []  # folders of photos and sounds by class (see lvs_train.data.material)
    clips: list[str] = []  # folders with frames/<id>.jpg and audio/<id>.wav
    relabel: dict[str, str] = {}
    identity: list[str] = []
    alike: list[list[str]] = []
    layouts: dict[str, float] = msgspec.field(default_factory=lambda: {"tiles": 0.5, "paste": 0.25, "whole": 0.25})
    same_source: float = 0.65
    drawn_weight: float = 1.0
    drawn_names: dict[str, str] = {}  # which class of the material a drawn one stands for
    material_weight: float = 1.0
    clips_weight: float = 1.0
    cache: str = ""  # folder for decoded sounds; empty: none


class Init(Struct, frozen=True, kw_only=True):
    """Where the trunks start: random, a checkpoint, or a ResNet18 in torchvision's names (.npz files, later wins)."""

    checkpoint: str = ""
    image_npz: list[str] = []
    audio_npz: list[str] = []
    torchvision: bool = False  # ImageNet weights through torchvision, for both trunks (downloads them)


class Stage(Struct, frozen=True, kw_only=True):
    """One part of a training run."""

    name: str
    kind: Literal["classes", "trimap"] = "trimap"
    steps: int
    batch_size: int = 32
    learning_rate: float = 3e-4
    image_learning_rate: float = 0.0  # 0: the same
    weight_decay: float = 1e-4
    warmup_steps: int = 50
    seconds: tuple[float, float] = (1.0, 3.0)
    image_px: int = 224  # classes stage only: side of its single photos
    freeze_image: int = -1  # stem and layers up to this number stay as they are; -1: none
    extra_negatives: int = 0
    average: float = 0.0  # decay of the weight average that is kept as the result; 0: none


class Recipe(Struct, frozen=True, kw_only=True):
    """A whole training run."""

    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    workers: int = 2
    save_every_s: float = 120.0
    calibration_examples: int = 400  # pairs that the thresholds are fitted on after the last stage
    live_seconds: float = 1.0
    audio: dict[str, float] = {}
    image: dict[str, int] = {}
    data: Data = Data()
    init: Init = Init()
    loss: Loss = Loss()
    stages: list[Stage] = []
    licence: str = "weights: see the terms of the material they were trained on"
    note: str = ""


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe. Raises ConfigError with the place, what was found and what would be right."""
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        shipped = ", ".join(sorted(p.name for p in (Path(__file__).parent / "recipes").glob("*.toml")))
        raise ConfigError(f"recipe {path}: no such file; shipped recipes: {shipped}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"recipe {path}: not readable TOML ({error})") from error
    return from_mapping(values, str(path))


def from_mapping(values: dict[str, Any], where: str = "recipe") -> Recipe:
    """Check plain values. Unknown keys raise ConfigError with the nearest known one."""
    _refuse_unknown(values, Recipe, where)
    try:
        recipe = msgspec.convert(values, Recipe)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
    if not recipe.stages:
        raise ConfigError(f"{where}: no [[stages]]; a recipe needs at least one with `name` and `steps`")
    for stage in recipe.stages:
        if stage.steps < 1 or stage.batch_size < 1 or stage.learning_rate <= 0:
            raise ConfigError(f"{where}: stage {stage.name!r}: steps, batch_size and learning_rate must be positive")
    return recipe


def _refuse_unknown(values: dict[str, Any], cls: type[msgspec.Struct], where: str) -> None:
    fields = {f.name: f.type for f in msgspec.structs.fields(cls)}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(fields)}"
            raise ConfigError(f"{where}: unknown key {key!r}{hint}")
        inner = fields[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            _refuse_unknown(value, inner, f"{where}: [{key}]")
        if key == "stages" and isinstance(value, list):
            for stage in value:
                if isinstance(stage, dict):
                    _refuse_unknown(stage, Stage, f"{where}: [[stages]]")


def as_mapping(recipe: Recipe) -> dict[str, Any]:
    """Plain values, for run folders and checkpoints."""
    plain: dict[str, Any] = msgspec.to_builtins(recipe)
    return plain
