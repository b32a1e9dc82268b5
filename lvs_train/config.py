"""Recipes: a TOML file becomes typed, checked settings; an unknown key names its nearest neighbour."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
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
    """The objective, and the tri-map loss's settings; see lvs_train.losses.TriMapConfig and lvs_train.rivals."""

    objective: Literal["trimap", "attention", "maxmil", "coarse2fine", "dmc"] = "trimap"
    epsilon_pos: float = 0.65
    epsilon_neg: float = 0.4
    tau: float = 0.03
    temperature: float = 0.07
    hard_negatives: bool = True
    tri_map: bool = True
    form: Literal["code", "paper"] = "code"
    directions: Literal["image", "audio", "both"] = "image"
    margin: float = 0.0
    every_source: bool = False  # a picture of several things is also asked with a sound of each other thing in it


class Augment(Struct, frozen=True, kw_only=True):
    """Upgrades that can be switched one by one; all off is the plain run. See lvs_train.upgrades, data.augment."""

    picture: Literal["own", "paper", "none"] = "own"  # clips: crop and degrade, squash to 246 and crop 224, squash
    appearance: bool = False  # SSL-TIE's colour jitter, grey, blur
    spectrogram: Literal["own", "tie", "none"] = "own"  # masks of frequency bands and times
    mixing: float = 0.0  # share of sounds that the likest other sound of the batch is mixed into
    geometric: bool = False  # a mirrored, turned, reduced twin of each picture has to be solved too
    equivariance: float = 0.0  # weight of: map of the twin = twin of the map; needs geometric
    momentum: float = 0.0  # decay of a slow copy of the nets that gives the targets; SLAVC: 0.999
    visual_dropout: float = 0.0  # share of image channels dropped before the map; SLAVC: 0.9


class Data(Struct, frozen=True, kw_only=True):
    """Where the material lies and how it is mixed. Weights of 0 leave a source out."""

    material: list[str] = []  # folders of photos and sounds by class (see lvs_train.data.material)
    share: float = 1.0  # of the material's training photos and recordings; a quarter is a part of the half
    clips: list[str] = []  # folders of clips in a published layout (lvs_train.data.layouts), or of tar shards
    clip_list: str = ""  # only these clips (txt, csv, json); empty: all
    layout: str = "auto"
    labels: bool = False  # the list's classes: clips of one class are no negatives of each other (not label-free)
    one_class: str = ""  # all clips show this one thing; empty: no
    tests: dict[str, str] = {}  # name = list of a test set, which training ids must not hold
    allow_leak: bool = False
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
    freeze_audio: int = -1  # as freeze_image, for the audio trunk
    freeze_batchnorm: bool = False  # BatchNorm everywhere by its running statistics, which stay as they are
    accumulate: int = 1  # batches a step; each keeps its own negatives, so this is not a larger contrastive batch
    chunk_size: int = 0  # embed so many at a time and keep only embeddings: a batch larger than memory; 0: all at once


class Recipe(Struct, frozen=True, kw_only=True):
    """A whole training run."""

    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"  # auto: bf16 where the device has it, else fp32
    channels_last: bool = True
    compile: bool = False  # torch.compile of both trunks
    sync_batchnorm: bool = False  # many GPUs: BatchNorm over all processes' pairs
    samples: int = 8  # heat maps drawn into the run folder at each checkpoint; 0: none
    workers: int = 2
    save_every_s: float = 120.0
    calibration_examples: int = 400  # pairs that the thresholds are fitted on after the last stage
    live_seconds: float = 1.0
    audio: dict[str, float] = {}
    image: dict[str, int] = {}
    data: Data = Data()
    init: Init = Init()
    loss: Loss = Loss()
    augment: Augment = Augment()
    stages: list[Stage] = []
    licence: str = "weights: see the terms of the material they were trained on"
    note: str = ""


def load_recipe(path: str | Path, settings: Iterable[str] = ()) -> Recipe:
    """Read a recipe, apply `settings` (`override`), check it.

    Raises ConfigError with the place, what was found and what would be right.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        shipped = ", ".join(sorted(p.name for p in (Path(__file__).parent / "recipes").glob("*.toml")))
        raise ConfigError(f"recipe {path}: no such file; shipped recipes: {shipped}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"recipe {path}: not readable TOML ({error})") from error
    return from_mapping(override(values, settings), str(path))


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
        if min(stage.steps, stage.batch_size, stage.accumulate) < 1 or stage.learning_rate <= 0:
            raise ConfigError(
                f"{where}: stage {stage.name!r}: steps, batch_size, accumulate and learning_rate must be positive"
            )
    if not 0 < recipe.data.share <= 1:
        raise ConfigError(f"{where}: [data] share = {recipe.data.share}; want above 0, to 1")
    _check_upgrades(recipe, where)
    return recipe


def _check_upgrades(recipe: Recipe, where: str) -> None:
    augment, plain = recipe.augment, recipe.loss.objective == "trimap"
    tied = augment.geometric or augment.momentum > 0 or augment.visual_dropout > 0
    if tied and not plain:
        raise ConfigError(
            f"{where}: [augment] geometric, momentum and visual_dropout work on objective 'trimap', "
            f"not {recipe.loss.objective!r}"
        )
    if augment.equivariance and not augment.geometric:
        raise ConfigError(f"{where}: [augment] equivariance compares with the twin: set geometric = true")
    for name in ("mixing", "momentum", "visual_dropout"):
        if not 0 <= getattr(augment, name) < 1:
            raise ConfigError(f"{where}: [augment] {name} = {getattr(augment, name)}; want 0 to below 1")


def override(values: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Apply `key=value` settings (`data.clips=["mine"]`, `stages.0.steps=5`: TOML) to a recipe's plain values."""
    for setting in settings:
        key, equals, text = setting.partition("=")
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text
        *path, last = key.strip().split(".")
        place: Any = values
        try:
            for part in path:
                place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
            if not equals or not last:
                raise KeyError(key)
            place[int(last) if isinstance(place, list) else last] = value
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"--set {setting}: want key=value with a recipe's key, e.g. stages.0.steps=5") from error
    return values


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
