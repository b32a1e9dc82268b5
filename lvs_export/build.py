"""From a checkpoint to finished graphs and their bytes: trace, quantise if asked, compose the fused one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import onnx
import torch

from lvs_runtime.errors import ConfigError
from lvs_train.checkpoint import Checkpoint

from . import compose
from .choose import Choice, Chooser
from .gate import Precision
from .graphs import AudioGraph, ImageGraph, folded
from .maps import MapErrors, Reference, compare, run_audios, run_images, similarity
from .material import MIN_CALIBRATION, Clip, Material
from .onnx_graph import AUDIO, IMAGE, check, serialise, trace, vary
from .options import SPLIT_FILES, ExportOptions
from .precision import check_half_range, half_audio_trunk, half_image_trunk, largest_activation
from .session import GraphSession

RANGE_CLIPS = 8
Stage = Callable[[str], None]


@dataclass
class Graphs:
    """Models and bytes by part ("image", "audio", "fused"), the int8 choices, and what the user should know."""

    models: dict[str, onnx.ModelProto]
    data: dict[str, bytes] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    choosers: dict[str, Chooser] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def sessions(self, threads: int | None) -> dict[str, GraphSession]:
        """One session a part, from the very bytes that will be written."""
        files = {file: self.data[part] for part, file in SPLIT_FILES.items()}
        return {
            part: GraphSession(data, files if part == compose.PART else None, threads)
            for part, data in self.data.items()
        }


def build(checkpoint: Checkpoint, options: ExportOptions, clips: Material, stage: Stage) -> Graphs:
    """The graphs of `checkpoint` in the asked precision; `stage` hears each step.

    Raises ParityError when half cannot hold the activations, ConfigError for too few calibration clips.
    """
    if options.precision is Precision.INT8 and len(clips.calibration) < MIN_CALIBRATION:
        found = len(clips.calibration)
        raise ConfigError(f"int8 needs at least {MIN_CALIBRATION} calibration clips, got {found}")
    image_trunk, audio_trunk = folded(checkpoint.model.image), folded(checkpoint.model.audio)
    image = ImageGraph(image_trunk, checkpoint.image, options.resize)
    audio = AudioGraph(audio_trunk, checkpoint.audio)
    notes: list[str] = []
    if options.precision is Precision.FP16:
        stage("range of the activations")
        notes = _half_range(image, audio, clips.parity[:RANGE_CLIPS])
        image.trunk, audio.trunk = half_image_trunk(image_trunk), half_audio_trunk(audio_trunk)
    graphs = Graphs(_trace(image, audio, checkpoint, options, stage), notes=notes)
    if options.precision is Precision.INT8:
        _quantize(graphs, options, clips.calibration, stage)
    _finish(graphs, options, stage)
    return graphs


def _trace(
    image: ImageGraph, audio: AudioGraph, checkpoint: Checkpoint, options: ExportOptions, stage: Stage
) -> dict[str, onnx.ModelProto]:
    side = checkpoint.image.size_px
    stage("trace image")
    if options.resize:  # the one graph with shapes inside: traced with symbols, and a batch of 2, as 1 is a constant
        batch, axes = (2, {0: "batch"}) if options.dynamic else (1, {})
        pixels = torch.zeros(batch, side + 16, side + 48, 3, dtype=torch.uint8)
        models = {"image": trace(image, (pixels,), IMAGE, {**axes, 1: "height", 2: "width"})}
    else:
        models = {"image": trace(image, (torch.zeros(1, side, side, 3, dtype=torch.uint8),), IMAGE)}
    stage("trace audio")
    models["audio"] = trace(audio, (torch.zeros(1, checkpoint.audio.num_samples),), AUDIO)
    if options.dynamic:
        models["image"] = models["image"] if options.resize else vary(models["image"], {0: "batch"})
        models["audio"] = vary(models["audio"], {0: "batch", 1: "num_samples"})
    return {part: check(model) for part, model in models.items()}


def _half_range(image: ImageGraph, audio: AudioGraph, clips: Sequence[Clip]) -> list[str]:
    with torch.inference_mode():
        pictures = [image.normalize(torch.from_numpy(clip.image)) for clip in clips]
        sounds = [audio.spectrogram(torch.from_numpy(clip.waveform)) for clip in clips]
    peaks = {"image": largest_activation(image.trunk, pictures), "audio": largest_activation(audio.trunk, sounds)}
    warnings = (check_half_range(part, peak) for part, peak in peaks.items())
    return [warning for warning in warnings if warning]


def _quantize(graphs: Graphs, options: ExportOptions, clips: Sequence[Clip], stage: Stage) -> None:
    """Replace both float graphs by int8 ones, each chosen by its map error with the other in float."""
    stage(f"float maps of {len(clips)} calibration clips")
    float_image = GraphSession(graphs.models["image"].SerializeToString(), None, options.threads)
    float_audio = GraphSession(graphs.models["audio"].SerializeToString(), None, options.threads)
    images, audios = run_images(float_image, clips), run_audios(float_audio, clips)
    truth = Reference(tuple(clips), images, audios, similarity(images, audios))

    def of_image(session: GraphSession) -> MapErrors:
        return compare(truth, similarity(run_images(session, clips), audios))

    def of_audio(session: GraphSession) -> MapErrors:
        return compare(truth, similarity(images, run_audios(session, clips)))

    pictures, waveforms = [clip.image for clip in clips], [clip.waveform for clip in clips]
    graphs.choosers = {
        "image": Chooser(graphs.models["image"], IMAGE, pictures, of_image, options, stage),
        "audio": Chooser(graphs.models["audio"], AUDIO, waveforms, of_audio, options, stage),
    }
    graphs.choices = {part: chooser.choose() for part, chooser in graphs.choosers.items()}


def release(graphs: Graphs, options: ExportOptions, number: int, stage: Stage) -> None:
    """Put the `number` most sensitive convolutions of both int8 graphs back to float."""
    graphs.choices = {part: chooser.release(graphs.choices[part], number) for part, chooser in graphs.choosers.items()}
    _finish(graphs, options, stage)


def _finish(graphs: Graphs, options: ExportOptions, stage: Stage) -> None:
    """Bytes of all graphs, the chosen int8 ones among them, and the fused one."""
    for part, choice in graphs.choices.items():
        graphs.models[part] = check(choice.model)
    graphs.models.pop(compose.PART, None)
    graphs.data = {part: serialise(model) for part, model in graphs.models.items()}
    if options.graphs != "split":
        stage("compose fused")
        _fuse(graphs, embed=options.graphs == "fused" or options.target == "web")


def remarks(part: str, choice: Choice) -> list[str]:
    """What the user should know of an int8 graph."""
    remarks = []
    if choice.recipe.float_convs:
        names = ", ".join(map(str, choice.recipe.float_convs))
        remarks.append(f"{part}: kept in float for the gate: convolution {names} behind the stem")
    if choice.recipe.reduce_range:
        remarks.append(f"{part}: 7-bit weights, so that CPUs without VNNI cannot overflow their 16-bit sums")
    elif choice.saturation and choice.saturation.saturating:
        found = choice.saturation
        remarks.append(
            f"{part}: on CPUs without VNNI {found.saturating} of {found.pairs:.1e} 16-bit sums overflow on calibration "
            "clips: harmless; --reduce-range rules it out"
        )
    return remarks


def _fuse(graphs: Graphs, embed: bool) -> None:
    fused = check(compose.fuse(graphs.models["image"], graphs.models["audio"]))
    if embed:
        graphs.models[compose.PART], graphs.data[compose.PART] = fused, serialise(fused)
        return
    files = {file: (graphs.models[part], graphs.data[part]) for part, file in SPLIT_FILES.items()}
    graphs.models[compose.PART] = fused
    graphs.data[compose.PART] = compose.refer(fused, files).SerializeToString(deterministic=True)
