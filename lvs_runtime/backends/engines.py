"""Engines of TensorRT and TensorRT-RTX: where they come from, and which of them may be opened here.

    the bundle's own (lvs-export --format engine|rtx) ──► its facts fit? ── no ──► refused, with the repair
    none in the bundle ──► this user's cache ──► its facts fit? ── no ──► built from the bundle's ONNX, and kept

An engine belongs to the graph, the library's version and (TensorRT) the GPU that it was made for; its facts say so and
are compared before the library sees a byte. Precision stands in the graph: networks are strongly typed, as TensorRT 11
has them only and 10 can have them.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Iterable
from typing import Any

import msgspec

from ..bundle import Bundle
from ..errors import BundleError, DeviceError
from .base import first_line
from .cuda import Gpu
from .host import cache_folder, read_cached, write_cached

_LOG = logging.getLogger(__name__)
# device -> (module and `library` in the facts, name of its engines in the manifest and option of lvs-export)
LIBRARIES = {"tensorrt": ("tensorrt", "engine"), "rtx": ("tensorrt_rtx", "rtx")}
SECONDS = (0.5, 3.0, 10.0)  # least, usual, most sound of a graph of variable length
BATCHES = (1, 1, 32)  # the same of a graph of variable batch


def load_library(device: str) -> Any:
    """The module `tensorrt` or `tensorrt_rtx`; `DeviceError` with the repair where it is not usable."""
    name = LIBRARIES[device][0]
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise DeviceError(
            f"--device {device}: {name} cannot be imported ({first_line(error)}): pip install 'lvs[{device}]' (needs "
            f"an NVIDIA GPU; for tensorrt pip must reach NVIDIA's own index), or use --device cpu"
        ) from error
    return module


def facts_for(trt: Any, device: str, gpu: Gpu, onnx_sha256: str) -> dict[str, Any]:
    """What an engine must say of itself to be opened here. TensorRT-RTX finishes its engines on any GPU."""
    facts = {"library": LIBRARIES[device][0], "version": str(trt.__version__), "onnx_sha256": onnx_sha256}
    return facts if device == "rtx" else {**facts, "gpu": gpu.name, "compute_capability": gpu.compute_capability}


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What of an engine's facts does not fit this place, in words; empty when all fits."""
    unlike = [f"{key} {found.get(key, 'not stated')!r}, here {want!r}" for key, want in wanted.items()]
    return "; ".join(text for text, key in zip(unlike, wanted, strict=True) if found.get(key) != wanted[key])


def find(bundle: Bundle, device: str, part: str, wanted: dict[str, Any]) -> tuple[bytes, str] | None:
    """(engine, where it was found), or None when there is none yet; `DeviceError` when the bundle's does not fit."""
    _, kind = LIBRARIES[device]
    entry = bundle.manifest.engines.get(kind, {}).get(part)
    if entry is not None:
        unlike = differences(entry, wanted)
        if unlike:
            raise DeviceError(
                f"--device {device}: bundle {bundle.path}: {entry.get('file')} was built for another place: {unlike}; "
                f"rebuild it here: lvs-export --bundle {bundle.path} --format {kind}"
            )
        return bundle.file_bytes(str(entry.get("file"))), "bundle"
    sidecar, plan = (read_cached(f"engines/{key(wanted)}.{suffix}") for suffix in ("json", "plan"))
    if sidecar is None or plan is None:
        return None
    try:
        stated = msgspec.json.decode(sidecar, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
    whole = {**wanted, "plan_sha256": hashlib.sha256(plan).hexdigest()}
    return None if differences(stated, whole) else (plan, "cache")


def ready(bundle: Bundle, device: str) -> bool:
    """Whether both engines are there already, so that opening them takes no build; `DeviceError` as `find`."""
    from .cuda import Cuda

    trt, gpu = load_library(device), Cuda(device).gpu
    wanted = {part: facts_for(trt, device, gpu, sha256_of(bundle, part)) for part in bundle.live_parts}
    return all(find(bundle, device, part, facts) is not None for part, facts in wanted.items())


def sha256_of(bundle: Bundle, part: str) -> str:
    """Of the part's graph, as the manifest states and `Bundle` proves."""
    return bundle.manifest.files[bundle.part(part).file].sha256


def build_and_keep(trt: Any, device: str, bundle: Bundle, part: str, facts: dict[str, Any], log: Any) -> bytes:
    """Build the engine of a part for this place and keep it in the user's cache."""
    _LOG.warning("device %s: building the engine of part %s, once; this may take minutes", device, part)
    timing = f"timing/{facts['library']}-{facts['version']}-{facts.get('compute_capability', 'any')}.cache"
    plan, timings = build(trt, bundle, part, log, read_cached(timing))
    sidecar = {**facts, "plan_sha256": hashlib.sha256(plan).hexdigest(), "strongly_typed": True}
    problems = [
        write_cached(f"engines/{key(facts)}.plan", plan),
        write_cached(f"engines/{key(facts)}.json", msgspec.json.format(msgspec.json.encode(sidecar))),
        write_cached(timing, timings) if timings else None,
    ]
    for problem in filter(None, problems):
        _LOG.warning("device %s: the engine is not kept, the next start builds it again: %s", device, problem)
    _LOG.warning("device %s: engine of part %s built; kept in %s", device, part, cache_folder() / "engines")
    return plan


def build(trt: Any, bundle: Bundle, part: str, log: Any, timings: bytes | None = None) -> tuple[bytes, bytes]:
    """(engine, timing cache) of a part's graph; `BundleError` or `DeviceError` when it is refused."""
    name = bundle.part(part).file
    builder = trt.Builder(log)
    flags = trt.NetworkDefinitionCreationFlag
    network = builder.create_network(1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(bundle.model_bytes(part)):
        causes = _causes(parser.get_error(index).desc() for index in range(parser.num_errors))
        hint = "its 8 bits are for CPUs, " if bundle.part(part).precision == "int8" else ""
        raise BundleError(
            f"bundle {bundle.path}: {trt.__name__} {trt.__version__} refuses {name}: {causes}; export it anew with "
            f"lvs-export ({hint}--fp16 for engines)"
        )
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # else the engine does not tell its precisions
    if hasattr(trt.BuilderFlag, "TF32"):  # its ten-bit mantissa would spoil the spectrogram's convolution
        config.clear_flag(trt.BuilderFlag.TF32)
    timed = trt.__name__ == "tensorrt"  # TensorRT-RTX times nothing while it builds, and warns when asked to
    if timed:
        config.set_timing_cache(config.create_timing_cache(timings or b""), ignore_mismatch=False)
    _add_profile(builder, network, config, bundle.audio.sample_rate)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        said = _causes(log.errors) or "no reason given"
        raise DeviceError(f"bundle {bundle.path}: {trt.__name__} {trt.__version__} built no engine of {name}: {said}")
    kept = config.get_timing_cache() if timed else None
    return bytes(plan), b"" if kept is None else bytes(kept.serialize())


def logger(trt: Any) -> Any:
    """A logger of the library that keeps errors for our messages instead of printing them."""

    class Log(trt.ILogger):  # type: ignore[misc]
        """Errors only."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            """The library's callback."""
            if severity <= trt.ILogger.ERROR:
                self.errors.append(message)

    return Log()


def _causes(messages: Iterable[str]) -> str:
    """In one line, without the complaint about a missing driver that comes with every error where there is none."""
    lines = (line.strip() for message in messages for line in message.splitlines())
    return "; ".join(line for line in lines if line and "cudaError 35" not in line)


def _add_profile(builder: Any, network: Any, config: Any, sample_rate: int) -> None:
    """A profile for a graph of variable length or batch (opt for one clip at a time); a static graph needs none."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    varying = [tensor for tensor in inputs if -1 in tuple(tensor.shape)]
    if not varying:
        return
    profile = builder.create_optimization_profile()  # one for all inputs: TensorRT refuses one that lacks an input
    for tensor in varying:
        limits = zip(BATCHES, (round(seconds * sample_rate) for seconds in SECONDS), strict=True)
        profile.set_shape(tensor.name, *(varied(tuple(tensor.shape), batch, length) for batch, length in limits))
    config.add_optimization_profile(profile)


def varied(shape: tuple[int | str, ...], batch: int, length: int) -> tuple[int, ...]:
    """`shape` with what may vary (-1 or a name) put in: the batch on the first axis, the sound's length elsewhere."""
    free = [n if isinstance(n, int) and n != -1 else None for n in shape]
    return tuple(n if n is not None else length if index else batch for index, n in enumerate(free))


def key(facts: dict[str, Any]) -> str:
    """Name in the cache of what belongs to an engine with these facts."""
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()[:32]
