"""What a session needs before its first frame."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import seeded_bundle

from lvs_runtime.errors import BundleError
from lvs_runtime.live.startup import load_model


def test_a_bundle_that_holds_only_the_fused_graph_is_refused_at_once(tmp_path):
    folder = seeded_bundle.write_fused(tmp_path / "fused")
    with pytest.raises(BundleError, match=r"no part 'image', only fused; it was exported with --fused: export it wit"):
        load_model(folder, "cpu", 1)
    assert load_model(seeded_bundle.write(tmp_path / "split"), "cpu", 1).bundle.name == "seeded-fp32"
