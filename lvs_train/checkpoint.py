"""Save and load checkpoints: tensors and plain values only, written whole or not at all.

`model.pt` is a torch zip that loads with `weights_only=True`; `model.safetensors` holds the same tensors with the
specification as JSON in its header. No loader here ever runs code from a file.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lvs_runtime.errors import CheckpointError, ConfigError
from lvs_runtime.spec import AudioSpec, ImageSpec

from .model import DualResNet, Heads

SCHEMA = 1
_RELATIVES = {  # layers that LVS' own checkpoints do not have
    "vision_fc1.": "SSL-TIE, whose audio input is a mel spectrogram in dB",
    "img_proj.": "EZ-VSL or FNAC, with projections behind the trunks",
    "momentum_": "SLAVC",
}
DEFAULT_THRESHOLDS = {
    "audible_on_dbfs": -45.0,
    "audible_off_dbfs": -51.0,
    "confidence_similarity": 0.5,
    "confidence_slope": 20.0,
    "box_similarity": 0.6,
    "box_relative": 0.65,
}


@dataclass
class Checkpoint:
    """A model with everything that is needed to use it right."""

    model: DualResNet
    audio: AudioSpec = field(default_factory=AudioSpec)
    image: ImageSpec = field(default_factory=ImageSpec)
    thresholds: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_THRESHOLDS))
    meta: dict[str, Any] = field(default_factory=dict)  # training command, recipe, versions, metrics, licence
    state: dict[str, Any] = field(default_factory=dict)  # optimiser, step, random states: only in .pt, for --resume

    def spec(self) -> dict[str, Any]:
        """The plain part, as it stands in the file."""
        return {
            "schema": SCHEMA,
            "audio": self.audio.as_dict(),
            "image": self.image.as_dict(),
            "thresholds": self.thresholds,
            "meta": self.meta,
            **({"heads": self.heads()} if self.model.heads.objective != "trimap" else {}),
        }

    def heads(self) -> dict[str, Any]:
        """The objective whose heads the model carries, and what builds them."""
        return {"objective": self.model.heads.objective, "options": self.model.heads.options()}


def save(path: str | Path, checkpoint: Checkpoint, *, half: bool = False) -> None:
    """Write `.pt` or `.safetensors` to a temporary name, flush it to disk, then rename over `path`.

    `half` stores convolutions in half precision (half the size; statistics stay float32). Raises CheckpointError when
    the folder cannot be written or the disk is full; what was there stays untouched.
    """
    path = Path(path)
    tensors = {k: v.detach().cpu().contiguous() for k, v in checkpoint.model.state_dict().items()}
    if half:
        tensors = {k: v.half() if v.ndim == 4 else v for k, v in tensors.items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            from safetensors.torch import save_file

            save_file(tensors, str(temporary), metadata={"lvs": json.dumps(checkpoint.spec())})
        else:
            payload = {"lvs": json.dumps(checkpoint.spec()), "model": tensors, "state": checkpoint.state}
            torch.save(payload, temporary)
        temporary.chmod(0o644)  # safetensors writes for the owner alone
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"cannot write {path}: {error}. The previous file, if any, is untouched.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def load(path: str | Path, map_location: str = "cpu") -> Checkpoint:
    """Read a checkpoint written by `save`, or an official `.pth.tar` (then `audio.seconds` is the code's 10 s).

    Raises CheckpointError for anything else: missing, truncated, HTML, a pickle that would run code, another
    architecture, NaN weights.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file. Train one with: lvs-train --config recipe.toml")
    if path.suffix == ".safetensors":
        spec, tensors, state = _read_safetensors(path)
    else:
        spec, tensors, state = _read_torch(path, map_location)
    model = DualResNet(_heads(path, spec.get("heads")))
    _copy_weights(path, model, tensors)
    return _with_spec(path, model, spec, state)


def load_upstream(path: str | Path) -> DualResNet:
    """The model of an official `.pth.tar` (dict with `model_state_dict`, keys `module.imgnet.*`, `module.audnet.*`).

    In evaluation mode: `model(image, spectrogram)` is (B, H, W), own pairs; `model.cross(image, spectrogram)` is
    (B images, K audios, H, W). Flow and classifier branches are left out; nothing in the file is executed. Raises
    CheckpointError for any other file; a checkpoint of lvs-train is told to use `load`.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; want an official .pth.tar of the LVS code")
    if path.suffix == ".safetensors":
        raise CheckpointError(f"{path} is no official checkpoint; read it with lvs_train.checkpoint.load")
    checkpoint = load(path)
    if not str(checkpoint.meta.get("origin", "")).startswith("official"):
        raise CheckpointError(f"{path} was written by lvs-train; read it with lvs_train.checkpoint.load")
    return checkpoint.model.eval()


def _heads(path: Path, spec: dict[str, Any] | None) -> Heads | None:
    if spec is None:
        return None
    from .rivals import make_heads

    try:
        return make_heads(spec["objective"], **spec["options"])
    except (KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{path}: its heads are unknown to this lvs ({error}): pip install -U lvs") from error


def _with_spec(path: Path, model: DualResNet, spec: dict[str, Any], state: dict[str, Any]) -> Checkpoint:
    if spec.get("schema", SCHEMA) > SCHEMA:
        raise CheckpointError(f"{path}: schema {spec['schema']} is newer than this lvs ({SCHEMA}): pip install -U lvs")
    try:
        image = dict(spec["image"])
        image.update(mean=tuple(image["mean"]), std=tuple(image["std"]))
        thresholds = {k: float(v) for k, v in spec["thresholds"].items()}
        checkpoint = Checkpoint(model, AudioSpec(**spec["audio"]), ImageSpec(**image), thresholds, spec["meta"], state)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"{path}: its specification is damaged ({error!r}); train or download it again"
        ) from error
    if not all(map(math.isfinite, thresholds.values())):
        raise CheckpointError(f"{path}: a threshold is not a finite number; calibrate again with lvs-train")
    return checkpoint


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a safetensors file ({error}){_looks_like(path)}") from error
    if "lvs" not in metadata:
        raise CheckpointError(f"{path} holds tensors but no lvs specification in its header; export needs both")
    return _parse_spec(path, metadata["lvs"]), tensors, {}


def _read_torch(path: Path, map_location: str) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about unusual pickles, which are refused below anyway
            payload = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {_refusal(path, error)}") from error
    except (EOFError, RuntimeError, zipfile.BadZipFile, OSError, ValueError, KeyError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read as a checkpoint ({first}){_looks_like(path)}") from error
    if not isinstance(payload, Mapping):
        raise CheckpointError(f"{path} holds a {type(payload).__name__}; expected a checkpoint of lvs-train")
    if "lvs" in payload:
        return _parse_spec(path, payload["lvs"]), dict(payload["model"]), dict(payload.get("state", {}))
    return _official(path, payload)


def _parse_spec(path: Path, text: str) -> dict[str, Any]:
    try:
        spec = json.loads(text)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: its specification is not JSON ({error})") from error
    if not isinstance(spec, dict):
        raise CheckpointError(f"{path}: its specification is not a JSON object")
    return spec


def _official(path: Path, payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Any]]:
    """LVS' own `.pth.tar`: keys `module.imgnet.* / module.audnet.*`, each trunk with stems and fc it does not use."""
    weights = next((payload[k] for k in ("model_state_dict", "state_dict", "model") if k in payload), payload)
    if not isinstance(weights, Mapping):
        raise CheckpointError(f"{path}: no weights found; keys: {', '.join(map(str, list(payload)[:8]))}")
    names = {str(k).removeprefix("module."): v for k, v in weights.items()}
    tensors: dict[str, Tensor] = {}
    for key, value in names.items():
        part, _, rest = key.partition(".")
        stem = rest.split(".")[0]
        if part == "imgnet" and stem not in ("conv1_a", "conv1_flow", "fc"):
            tensors[f"image.{rest}"] = value
        elif part == "audnet" and stem not in ("conv1", "conv1_flow", "fc"):
            tensors[f"audio.{rest.replace('conv1_a', 'conv1') if stem == 'conv1_a' else rest}"] = value
    if not tensors:
        raise CheckpointError(f"{path} holds no imgnet/audnet weights; first keys: {', '.join(list(names)[:4])}")
    relative = next((name for mark, name in _RELATIVES.items() if any(k.startswith(mark) for k in names)), None)
    if relative:
        raise CheckpointError(f"{path} is a checkpoint of {relative}, not of LVS: its map is made otherwise")
    spec = {
        "audio": AudioSpec(seconds=10.0).as_dict(),
        "image": ImageSpec().as_dict(),
        "thresholds": dict(DEFAULT_THRESHOLDS),
        "meta": {"origin": "official LVS checkpoint; thresholds uncalibrated"},
    }
    return spec, tensors, {}


def _copy_weights(path: Path, model: DualResNet, tensors: Mapping[str, Tensor]) -> None:
    own = model.state_dict()
    needed = {k for k in own if not k.endswith("num_batches_tracked")}
    missing, unknown = sorted(needed - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or unknown:
        raise CheckpointError(
            f"{path} is another architecture: missing {missing[:2] or 'nothing'}, unknown {unknown[:2] or 'nothing'} "
            f"({len(missing)} and {len(unknown)} in all); expected two ResNet18 trunks named image.* and audio.*"
        )
    for key in sorted(tensors.keys() & own.keys()):
        value = tensors[key]
        if tuple(value.shape) != tuple(own[key].shape):
            raise CheckpointError(f"{path}: {key} is {tuple(value.shape)}, expected {tuple(own[key].shape)}")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{path}: {key} holds {int((~torch.isfinite(value)).sum())} NaN or infinite values")
        own[key].copy_(value)


def _refusal(path: Path, error: pickle.UnpicklingError) -> str:
    """Name what the pickle wanted to call, when the file is a zip that can be looked into."""
    found = ""
    if zipfile.is_zipfile(path):
        try:
            found = ", ".join(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)))
        except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError):
            found = ""
    if found:
        return f"wants to load {found}, which is code, not weights; refused. Only tensors and plain values are accepted"
    wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
    if wanted:
        return f"wants to load {wanted[1]}, which is code, not weights; refused{_looks_like(path)}"
    return f"is not a checkpoint; refused{_looks_like(path)}"


def _looks_like(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        return ": the file is empty"
    if head.lstrip()[:1] == b"<":
        return f": it starts with {head[:16]!r}, an HTML page? Download it again"
    return f": it starts with {head[:8]!r}, {path.stat().st_size} bytes"
