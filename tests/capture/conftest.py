"""Helpers shared with the other tests of capture and live, and one toy model for all of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_NAME = "lvs_live_helpers"
if _NAME not in sys.modules:
    _SPEC = importlib.util.spec_from_file_location(_NAME, Path(__file__).parents[1] / "live_helpers.py")
    sys.modules[_NAME] = importlib.util.module_from_spec(_SPEC)
    _SPEC.loader.exec_module(sys.modules[_NAME])


@pytest.fixture(scope="session")
def helpers():
    return sys.modules[_NAME]


@pytest.fixture(scope="session")
def toy_path(tmp_path_factory, helpers) -> Path:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    return helpers.toy_bundle(tmp_path_factory.mktemp("live") / "bundle")


@pytest.fixture(scope="session")
def localizer(toy_path):
    from lvs_runtime.localizer import Localizer

    return Localizer.from_bundle(toy_path, threads=1)
