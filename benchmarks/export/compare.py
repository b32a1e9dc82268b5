"""What an export costs and gains: size, parity, metric and time of every precision and engine, in one interleaved run.

    python benchmarks/export/compare.py --ckpt lvs_train/weights/default.safetensors --rounds 40 \
        --json benchmarks/results/export_DEVICE_DATE.json

Every candidate runs once a round, in an order shuffled anew, on one thread. `ms` is wall time; `cpu_ms` is what this
process really computed: on a machine that others use too it is the one to compare.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

sys.path.insert(0, str(Path(__file__).parent))
import naive
import sums16

from lvs_export import material, verify
from lvs_export.bundle import write_bundle
from lvs_export.export import export_bundle
from lvs_export.gate import Precision
from lvs_export.graphs import reference_graph
from lvs_export.maps import compare, similarity
from lvs_export.material import Clip
from lvs_export.options import ExportOptions
from lvs_runtime.backends import open_backend
from lvs_runtime.bench.machine import commit, load_1min, machine, software
from lvs_runtime.bench.percentiles import nearest_rank
from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import DeviceError
from lvs_train.checkpoint import Checkpoint, load

Call = Callable[[], Any]
PRECISIONS = ("fp32", "fp16", "int8")
VIDEO_HZ, AUDIO_HZ = 30, 8


def export_all(checkpoint: Checkpoint, folder: Path) -> dict[str, dict[str, Any]]:
    """Bundles in each precision: seconds with verification, bytes, the export's own parity."""
    found = {}
    for name in PRECISIONS:
        start, cpu = time.perf_counter(), time.process_time()
        report = export_bundle(checkpoint, folder / name, ExportOptions(precision=Precision(name), threads=2))
        found[name] = {
            "export_s": round(time.perf_counter() - start, 1),
            "export_cpu_s": round(time.process_time() - cpu, 1),
            "mb": round(sum(file.stat().st_size for file in (folder / name).iterdir()) / 1e6, 2),
            "notes": list(report.notes),
        }
        print(name, found[name], flush=True)
    return found


def candidates(checkpoint: Checkpoint, folder: Path, clip: Clip) -> tuple[dict[str, dict[str, Call]], dict[str, str]]:
    """{candidate: {part: call}}, and why some are not there."""
    calls: dict[str, dict[str, Call]] = {}
    absent: dict[str, str] = {}
    for name in PRECISIONS:
        bundle = Bundle.open(folder / name)
        fused = fused_only(folder / name, folder / f"{name}-fused")
        for device in ("cpu", "openvino"):
            label = f"{'onnxruntime' if device == 'cpu' else device} {name}"
            try:
                backend, whole = open_backend(bundle, device, threads=1), open_backend(fused, device, threads=1)
            except DeviceError as error:
                absent[label] = str(error)
                continue
            calls[label] = {
                "image": partial(backend.run, "image", clip.image),
                "audio": partial(backend.run, "audio", clip.waveform),
                "fused": partial(whole.run, "fused", clip.image, clip.waveform),
            }
    graph = reference_graph(checkpoint.model, checkpoint.image, checkpoint.audio)
    image, waveform = torch.from_numpy(clip.image), torch.from_numpy(clip.waveform)
    calls["torch eager"] = torch_calls(graph, image, waveform)
    try:
        compiled = torch_calls(graph, image, waveform, torch.compile)
        for call in compiled.values():
            call()
        calls["torch.compile"] = compiled
    except (RuntimeError, torch._dynamo.exc.TorchDynamoException) as error:
        absent["torch.compile"] = str(error).strip().splitlines()[0][:200]
    naive.export(checkpoint.model, checkpoint.audio, folder / "naive.onnx")
    operators = {node.op_type for node in onnx.load(str(folder / "naive.onnx")).graph.node}
    if "STFT" not in operators:
        absent["naive"] = f"note: the exporter wrote no STFT operator but {sorted(operators)}"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # all else by default; all candidates have one thread
    session = onnxruntime.InferenceSession(str(folder / "naive.onnx"), options, providers=["CPUExecutionProvider"])
    pixels = graph.image.normalize(image).numpy()  # type: ignore[operator]
    calls["naive export"] = {"fused": lambda: session.run(None, {"image": pixels, "waveform": clip.waveform})}
    return calls, absent


def fused_only(source: Path, target: Path) -> Bundle:
    """What `lvs-export --fused` writes, from a bundle of all three graphs: the weights go into the fused one."""
    manifest = json.loads((source / "manifest.json").read_bytes())
    manifest["parts"] = {"fused": {**manifest["parts"]["fused"], "external": []}}
    model = onnx.load(str(source / "model.onnx"))
    write_bundle(target, {"model.onnx": model.SerializeToString(deterministic=True)}, manifest)
    return Bundle.open(target)


def torch_calls(
    graph: Any, image: torch.Tensor, waveform: torch.Tensor, wrap: Callable[[Any], Any] = lambda x: x
) -> dict[str, Call]:
    """The reference's parts as calls, each through `wrap`."""
    parts = {"image": (graph.image, (image,)), "audio": (graph.audio, (waveform,)), "fused": (graph, (image, waveform))}

    def call(function: Any, given: tuple[torch.Tensor, ...]) -> Call:
        def run() -> Any:
            with torch.inference_mode():
                return function(*given)

        return run

    return {name: call(wrap(module), given) for name, (module, given) in parts.items()}


def measure(calls: dict[str, dict[str, Call]], rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """{candidate: {part: p50, p95 and minimum}} after two calls of each to warm up."""
    flat = [(name, part, call) for name, parts in calls.items() for part, call in parts.items()]
    wall: dict[tuple[str, str], list[float]] = {(name, part): [] for name, part, _ in flat}
    cpu: dict[tuple[str, str], list[float]] = {(name, part): [] for name, part, _ in flat}
    rng = np.random.default_rng(0)
    for number in range(rounds + 2):
        for index in rng.permutation(len(flat)):
            name, part, call = flat[int(index)]
            start, used = time.perf_counter(), time.process_time()
            call()
            used, spent = time.process_time() - used, time.perf_counter() - start
            if number >= 2:
                wall[name, part].append(spent * 1e3)
                cpu[name, part].append(used * 1e3)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for name, part, _ in flat:
        own, computed = wall[name, part], cpu[name, part]
        result.setdefault(name, {})[part] = {
            "p50_ms": round(nearest_rank(own, 50), 3),
            "p95_ms": round(nearest_rank(own, 95), 3),
            "cpu_p50_ms": round(nearest_rank(computed, 50), 3),
            "cpu_min_ms": round(min(computed), 3),
        }
    return result


def judge(checkpoint: Checkpoint, folder: Path, clips: tuple[Clip, ...]) -> dict[str, Any]:
    """Map errors and metric of every back end and precision against torch in float32."""
    truth = verify.reference(reference_graph(checkpoint.model, checkpoint.image, checkpoint.audio), clips)
    found: dict[str, Any] = {}
    for name in PRECISIONS:
        for device in ("cpu", "openvino"):
            try:
                backend = open_backend(Bundle.open(folder / name), device, threads=1)
            except DeviceError:
                continue
            images = np.concatenate([backend.run("image", clip.image) for clip in clips])
            audios = np.concatenate([backend.run("audio", clip.waveform) for clip in clips])
            errors = asdict(compare(truth, similarity(images, audios)))
            label = f"{'onnxruntime' if device == 'cpu' else device} {name}"
            found[label] = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in errors.items()}
    return found


def ratios(times: dict[str, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """The comparisons of the issue, from CPU time of the median call."""

    def of(name: str, part: str) -> float | None:
        return times.get(name, {}).get(part, {}).get("cpu_p50_ms")

    float_image, naive_ms = of("onnxruntime fp32", "image"), of("naive export", "fused")
    assert float_image is not None
    assert naive_ms is not None
    result: dict[str, Any] = {"float32 onnxruntime image / candidate": {}, "naive fused / split, a second of video": {}}
    for name in times:
        image, audio = of(name, "image"), of(name, "audio")
        if image is None or audio is None:
            continue
        second = VIDEO_HZ * image + AUDIO_HZ * audio
        result["float32 onnxruntime image / candidate"][name] = round(float_image / image, 2)
        result["naive fused / split, a second of video"][name] = round(VIDEO_HZ * naive_ms / second, 2)
    return result


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--clips", type=int, default=64, help="drawn clips for parity and metric")
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = load(args.ckpt)
    clips = material.drawn(checkpoint.audio, checkpoint.image, seed=77, calibration=0, parity=args.clips).parity
    start, load_before = time.time(), load_1min()
    with tempfile.TemporaryDirectory(prefix="lvs-bench-export-") as name:
        folder = Path(name)
        exports = export_all(checkpoint, folder)
        calls, absent = candidates(checkpoint, folder, clips[0])
        times = measure(calls, args.rounds)
        parity = judge(checkpoint, folder, clips)
        sums = sums16.measure(Bundle.open(folder / "int8"), Bundle.open(folder / "fp32"), clips)
    facts = {
        "schema": "lvs-bench/1",
        "topic": "export",
        "started_utc": datetime.fromtimestamp(start, timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.time() - start, 1),
        "command": ["python", "benchmarks/export/compare.py", *sys.argv[1:]],
        "git_commit": commit()[0],
        "machine": machine(),
        "software": {**software(), "torch": torch.__version__, "onnx": onnx.__version__},
        "run": {"rounds": args.rounds, "threads": 1, "order": "shuffled every round", "video_hz": VIDEO_HZ,
                "audio_hz": AUDIO_HZ, "load_1min": [load_before, load_1min()]},
        "exports": exports,
        "times": times,
        "ratios_of_cpu_time": ratios(times),
        "parity": parity,
        "sums_of_16_bits": sums,
        "absent": absent,
        "notes": ["shared machine: compare cpu_p50_ms (time computed) and ratios, not wall times"],
    }  # fmt: skip
    args.json.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(facts["ratios_of_cpu_time"], indent=1))


if __name__ == "__main__":
    main()
