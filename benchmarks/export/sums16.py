"""What the 16-bit sums of CPUs without VNNI do to an int8 bundle, on such a CPU itself.

    python benchmarks/export/sums16.py --bundle lvs_runtime/bundle_default --float bundle_fp32 [--clips DIR] --json FILE

ONNX Runtime's session option `session.x64quantprecision` makes the same file exact there: weights become unsigned and
no sum saturates, as on a CPU with VNNI. So one machine shows both arithmetics. As a control the float graphs are made
int8 anew with 7-bit weights, which cannot overflow: there both must agree to the bit.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from lvs_export import bundle_runs
from lvs_export.maps import Reference, compare, run_audios, run_images, similarity
from lvs_export.material import Clip
from lvs_export.onnx_graph import AUDIO, IMAGE
from lvs_export.quantize import Recipe, quantize
from lvs_runtime.bench.machine import commit, load_1min, machine, software
from lvs_runtime.bundle import Bundle

CONTROL_CLIPS = 16


class Session:
    """A graph on one thread, as it runs on this CPU or without saturation."""

    def __init__(self, data: bytes, exact: bool) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        if exact:
            options.add_session_config_entry("session.x64quantprecision", "1")
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.ms: list[float] = []

    def run(self, **inputs: Any) -> Any:
        """The output; its time is kept."""
        start = time.process_time()
        output = self._session.run(None, inputs)[0]
        self.ms.append((time.process_time() - start) * 1e3)
        return output


def both_ways(graphs: dict[str, bytes], clips: Sequence[Clip]) -> dict[str, dict[str, Any]]:
    """{"native", "exact"}: embeddings, maps and CPU time of each part."""
    found = {}
    for name in ("native", "exact"):
        sessions = {part: Session(data, exact=name == "exact") for part, data in graphs.items()}
        images, audios = run_images(sessions["image"], clips), run_audios(sessions["audio"], clips)  # type: ignore[arg-type]
        ms = {part: round(float(np.median(session.ms)), 2) for part, session in sessions.items()}
        found[name] = {"images": images, "audios": audios, "maps": similarity(images, audios), "cpu_p50_ms": ms}
    return found


def measure(bundle: Bundle, reference: Bundle, clips: Sequence[Clip]) -> dict[str, Any]:
    """Errors against the float bundle both ways, of the one against the other, and CPU time."""
    exact_float = {part: Session(reference.model_bytes(part), exact=False) for part in ("image", "audio")}
    images = run_images(exact_float["image"], clips)  # type: ignore[arg-type]
    audios = run_audios(exact_float["audio"], clips)  # type: ignore[arg-type]
    truth = Reference(tuple(clips), images, audios, similarity(images, audios))
    ways = both_ways({part: bundle.model_bytes(part) for part in ("image", "audio")}, clips)
    native, exact = ways["native"], ways["exact"]
    between = Reference(tuple(clips), exact["images"], exact["audios"], exact["maps"])
    return {
        "against_float": {name: rounded(compare(truth, way["maps"])) for name, way in ways.items()},
        "native_against_exact": rounded(compare(between, native["maps"])),
        "identical_maps": int((native["maps"] == exact["maps"]).all((1, 2)).sum()),
        "cpu_p50_ms": {name: way["cpu_p50_ms"] for name, way in ways.items()},
    }


def control(reference: Bundle, clips: Sequence[Clip]) -> dict[str, bool]:
    """Whether 7-bit weights give the same bits both ways: if not, the option does more than it says."""
    few, graphs = clips[:CONTROL_CLIPS], {}
    for names in (IMAGE, AUDIO):
        model = onnx.load_from_string(reference.model_bytes(names.part))
        inputs = [clip.image if names is IMAGE else clip.waveform for clip in few]
        graphs[names.part] = quantize(model, names, Recipe("MinMax", reduce_range=True), inputs).SerializeToString()
    ways = both_ways(graphs, few)
    return {key: bool((ways["native"][key] == ways["exact"][key]).all()) for key in ("images", "audios")}


def rounded(errors: Any) -> dict[str, Any]:
    """Plain values of four digits."""
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in asdict(errors).items()}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--float", type=Path, required=True, help="float32 bundle of the same weights")
    parser.add_argument(
        "--clips", type=Path, help="frames/, audio/ and boxes.json; default: 32 clips of the drawn world"
    )
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    bundle, reference = Bundle.open(args.bundle), Bundle.open(args.float)
    clips = bundle_runs.open_clips(bundle, args.clips, seed=77)
    load = load_1min()
    facts = {
        "schema": "lvs-bench/1",
        "topic": "sums of 16 bits",
        "started_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": ["python", "benchmarks/export/sums16.py", *(Path(a).name if "/" in a else a for a in sys.argv[1:])],
        "git_commit": commit()[0],
        "machine": machine(),
        "software": software(),
        "run": {"bundle": bundle.name, "clips": len(clips), "threads": 1, "load_1min": load},
        **measure(bundle, reference, clips),
        "control_7_bits_identical": control(reference, clips),
    }
    args.json.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps({k: facts[k] for k in list(facts)[-5:]}, indent=1))


if __name__ == "__main__":
    main()
