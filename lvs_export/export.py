"""`export_bundle`: checkpoint to bundle. Build the graphs, compare them with torch, and only then write."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lvs_runtime.errors import ConfigError
from lvs_train.checkpoint import Checkpoint
from lvs_train.checkpoint import load as load_checkpoint

from . import engine, gate, material, verify
from .build import Graphs, Stage, build, release, remarks
from .bundle import check_target, write_bundle
from .choose import RELEASE_STEPS
from .describe import describe, written_parts
from .gate import Precision
from .graphs import reference_graph
from .maps import MapErrors, Reference
from .material import Clip, Material
from .options import FILES, ExportOptions, ExportReport, PartReport
from .session import GraphSession

TIMED_RUNS = 5
PARITY_CLIPS, GATE_CLIPS = 16, 112  # of the drawn world; 98 of 112 sound and have a box, so a point is a clip


def export_bundle(
    checkpoint: Checkpoint | str | Path,
    out: str | Path,
    options: ExportOptions | None = None,
    clips: Material | None = None,
    stage: Stage = lambda _: None,
) -> ExportReport:
    """Export `checkpoint` (loaded, or a path) as the bundle `out`.

    `clips` replaces the material that `options` name. `stage` hears each step. Raises CheckpointError, ConfigError,
    DataError, ParityError (out of tolerance: nothing is written) and BundleError (not writable).
    """
    options = options or ExportOptions()
    target = check_target(out)
    stage("load")
    checkpoint, origin = _loaded(checkpoint)
    if checkpoint.model.heads.objective != "trimap":
        raise ConfigError(
            f"export: a checkpoint of objective {checkpoint.model.heads.objective!r} has layers behind its trunks that "
            "bundles do not carry; it can be evaluated (lvs-train evaluate --ckpt), not exported"
        )
    checkpoint = _with_seconds(checkpoint, options.audio_seconds)
    clips = clips or _material(checkpoint, options)
    graphs = build(checkpoint, options, clips, stage)
    stage(f"parity on {len(clips.parity)} clips")
    truth = verify.reference(reference_graph(checkpoint.model, checkpoint.image, checkpoint.audio), clips.parity)
    sessions, errors = _measured(truth, graphs, options, stage)
    gate.judge(errors, options.precision, options.tolerance)
    for part, choice in graphs.choices.items():
        graphs.notes += remarks(part, choice)
    parts = _part_reports(graphs, sessions, errors, options, clips.parity[0])
    files = {FILES[part]: graphs.data[part] for part in written_parts(options)}
    stage("write")
    write_bundle(target, files, describe(checkpoint, origin, options, graphs, errors, clips))
    not_built = _engines(out, options, stage)
    total = sum(map(len, files.values()))
    return ExportReport(target, parts, errors["both"], total, clips.source, tuple(graphs.notes), not_built)


def _measured(
    truth: Reference, graphs: Graphs, options: ExportOptions, stage: Stage
) -> tuple[dict[str, GraphSession], dict[str, MapErrors]]:
    """Sessions and errors; int8 graphs that miss the gate get convolutions back in float, one, two, then four."""
    for released in (*RELEASE_STEPS, None):
        sessions = graphs.sessions(options.threads)
        errors = verify.measure(truth, sessions["image"], sessions["audio"], sessions.get("fused"))
        faults = [gate.int8_fault(found, options.tolerance) for found in errors.values()]
        if options.precision is not Precision.INT8 or not any(faults) or released is None:
            break
        if all(len(choice.recipe.float_convs) >= released for choice in graphs.choices.values()):
            continue
        stage(f"gate missed: {released} convolutions of each graph back to float")
        release(graphs, options, released, stage)
    return sessions, errors


def _loaded(checkpoint: Checkpoint | str | Path) -> tuple[Checkpoint, dict[str, str]]:
    """The checkpoint and what identifies its file."""
    if isinstance(checkpoint, Checkpoint):
        return checkpoint, {}
    loaded = load_checkpoint(checkpoint)
    digest = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    return loaded, {"checkpoint": Path(checkpoint).name, "checkpoint_sha256": digest}


def _with_seconds(checkpoint: Checkpoint, seconds: float | None) -> Checkpoint:
    if seconds is None:
        return checkpoint
    if not 0.5 <= seconds <= 10:
        raise ConfigError(f"--audio-seconds {seconds:g}: want 0.5 to 10")
    return replace(checkpoint, audio=replace(checkpoint.audio, seconds=seconds))


def _material(checkpoint: Checkpoint, options: ExportOptions) -> Material:
    """Clips of the user's folders; what they do not cover comes from the drawn world."""
    audio, image = checkpoint.audio, checkpoint.image
    if options.calib is not None:
        clips = material.folder(options.calib, audio, image)
    else:
        parity = GATE_CLIPS if options.precision is Precision.INT8 and options.verify is None else PARITY_CLIPS
        clips = material.drawn(audio, image, options.seed, parity=parity)
    if options.verify is None:
        return clips
    judges = material.read_folder(options.verify, audio, image, flag="--verify", least=1)
    source = f"{clips.source}; judged by {len(judges)} clips of folder {options.verify.name}"
    return Material(source, clips.calibration, tuple(judges))


def _part_reports(
    graphs: Graphs,
    sessions: Mapping[str, GraphSession],
    errors: Mapping[str, MapErrors],
    options: ExportOptions,
    clip: Clip,
) -> tuple[PartReport, ...]:
    image, audio = {"image": clip.image}, {"waveform": clip.waveform}
    feeds: dict[str, dict[str, Any]] = {"image": {**image}, "audio": {**audio}, "fused": {**image, **audio}}
    reports = []
    for part in written_parts(options):
        ms, choice = _median_ms(sessions[part], feeds[part]), graphs.choices.get(part)
        kept = len(choice.recipe.float_convs) if choice else 0
        size = len(graphs.data[part])
        reports.append(PartReport(part, FILES[part], options.precision.value, size, errors[part], ms, kept))
    return tuple(reports)


def _median_ms(session: GraphSession, feed: dict[str, Any]) -> float:
    times = []
    for _ in range(TIMED_RUNS):
        start = time.perf_counter()
        session.run(**feed)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def _engines(out: str | Path, options: ExportOptions, stage: Stage) -> str | None:
    """Add engines to the bundle when they were asked for; why they could not be built here, or None."""
    if options.format == "onnx":
        return None
    try:
        engine.add_engines(out, options.format, stage)
    except engine.EngineNotBuilt as error:
        return str(error)
    return None
