"""Half precision keeps its islands: without them the error is larger; and it refuses what it cannot hold."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from lvs_export.graphs import AudioGraph, folded
from lvs_export.maps import Reference, compare, similarity
from lvs_export.precision import HalfTrunk, check_half_range, largest_activation
from lvs_runtime.errors import ParityError


def test_the_audio_stem_in_float_pays(checkpoint, clips, truth, fp16):
    plain = AudioGraph(HalfTrunk(folded(checkpoint.model.audio), float_stem=False), checkpoint.audio)
    with torch.inference_mode():
        audios = np.concatenate([plain(torch.from_numpy(clip.waveform)).numpy() for clip in clips.parity[:1]])
    one = Reference(truth.clips[:1], truth.images[:1], truth.audios[:1], truth.maps[:1])  # half is slow in torch
    without = compare(one, similarity(one.images, audios))
    island = next(part.errors for part in fp16.report.parts if part.part == "audio")
    assert island.worst < 2e-3
    assert without.mean > 2 * island.mean


def test_which_parts_are_half(fp16):
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    for file, in_float in (("image.onnx", 0), ("audio.onnx", 2)):  # the spectrogram's kernel and the audio stem
        model = fp16.model(file)
        weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
        kinds = [weights[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]
        assert kinds == [single] * in_float + [half] * (len(kinds) - in_float)
        assert model.graph.output[0].type.tensor_type.elem_type == single
        tail = [node.op_type for node in model.graph.node]
        assert tail.index("ReduceSum") > len(tail) - 1 - tail[::-1].index("Cast"), "the norm must be in float32"


def test_activations_that_half_cannot_hold():
    trunk = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1, bias=False), torch.nn.ReLU())
    with torch.no_grad():
        trunk[0].weight.fill_(-7e4)
    peak = largest_activation(trunk, [torch.ones(1, 1, 2, 2)])
    assert peak == pytest.approx(7e4)
    with pytest.raises(ParityError, match=r"audio, fp16: activations reach 7e\+04, half ends at 65504"):
        check_half_range("audio", peak)
    assert "close to half" in (check_half_range("audio", 2e4) or "")
    assert check_half_range("audio", 44.0) is None
