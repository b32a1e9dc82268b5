"""The doctor: shape of its report, what it finds in faked environments, and that its probes really prove."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lvs_runtime.backends import probe
from lvs_runtime.doctor import backends, check, devices, engines, isolate, packages, report
from lvs_runtime.doctor.check import Check, Status

ROOT = Path(__file__).parents[2]
GOOD = {"version": "1.2.3", "providers": ["CPUExecutionProvider"], "max_abs_error": 0.0}


def works(*_: str) -> Any:
    return GOOD


def fails(*_: str) -> Any:
    raise isolate.ProbeError("ImportError: no such thing")


# --- packages ---------------------------------------------------------------------------------------------------


def test_two_distributions_in_one_folder_are_a_conflict_with_its_repair() -> None:
    found = packages.check_conflicts(
        {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1", "opencv-python": "5.0.0.93", "numpy": "2.4.6"}
    )
    assert [item.name for item in found] == ["conflict: onnxruntime"]
    assert found[0].failed
    assert "onnxruntime 1.32.0" in found[0].found
    assert "onnxruntime-gpu 1.31.1" in found[0].found
    removal, _, install = (found[0].repair or "").partition(" && ")
    assert re.search(r"uninstall .*onnxruntime-gpu onnxruntime$", removal)
    assert re.search(r"install onnxruntime-gpu$", install)


def test_two_opencvs_are_a_conflict_and_one_is_none() -> None:
    both = {"opencv-python": "5.0.0.93", "opencv-contrib-python-headless": "4.14.0.94"}
    assert [item.name for item in packages.check_conflicts(both)] == ["conflict: cv2"]
    assert packages.check_conflicts({"opencv-python-headless": "4.14.0.94", "onnxruntime-gpu": "1.31.1"}) == []


def test_any_one_opencv_stands_for_the_extra() -> None:
    names = [name for _, name, module in packages.extras_to_try({"opencv-python-headless": "4.14"}) if module == "cv2"]
    assert names == ["opencv-python-headless"]


def test_missing_and_broken_packages_name_their_repair() -> None:
    missing = packages.check_extra("web", "starlette", "starlette", {}, works)
    assert (missing.status, missing.failed) == (Status.LACK, False)
    assert "'lvs[web]'" in (missing.repair or "")
    broken = packages.check_extra("web", "starlette", "starlette", {"starlette": "1.0"}, fails)
    assert broken.status is Status.BROKEN
    assert "no such thing" in broken.found


def test_opencv_without_libgl_asks_for_system_packages_not_for_another_install() -> None:
    def no_libgl(_: str) -> Any:
        raise isolate.ProbeError("ImportError: libGL.so.1: cannot open shared object file: No such file or directory")

    found = packages.check_extra("live", "opencv-python", "cv2", {"opencv-python": "5.0"}, no_libgl)
    assert found.repair == "sudo apt-get install -y libgl1 libglib2.0-0"


def test_base_packages_are_needed() -> None:
    found = {item.name: item for item in packages.check_base({"numpy": "2.4.6", "rich": "15"}, works)}
    assert [name for name, item in found.items() if item.failed] == ["tyro", "msgspec"]


def test_trio_that_does_not_import_together_is_reinstalled_together() -> None:
    distributions = {"torch": "2.15.0", "torchvision": "0.29.2", "torchaudio": "2.11.0"}

    def mismatch(*names: str) -> dict[str, str]:
        assert names == ("torch", "torchvision", "torchaudio")
        return {"torchaudio": "RuntimeError: different CUDA versions"}

    found = {item.name: item for item in packages.check_trio(distributions, mismatch)}
    assert {name: item.status for name, item in found.items()} == {
        "torch": Status.OK,
        "torchvision": Status.OK,
        "torchaudio": Status.BROKEN,
    }
    assert packages.TRIO in (found["torchaudio"].repair or "")
    assert not found["torchaudio"].failed  # lvs-live runs without torch
    (absent,) = packages.check_trio({"torchvision": "0.28.0"}, mismatch)
    assert (absent.name, absent.status) == ("torch", Status.LACK)


def test_trio_is_that_of_the_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert packages.TRIO.split() == [next(x for x in lines if x.startswith(f"{n}==")) for n in packages.TRIO_NAMES]


# --- engines ----------------------------------------------------------------------------------------------------


def by_provider(usable: set[str], listed: list[str]) -> Any:
    def attempt(engine: str, *provider: str) -> Any:
        assert engine == "onnxruntime"
        if not provider:
            return listed
        if provider[0] not in usable:
            raise isolate.ProbeError("CUDA driver version is insufficient")
        return GOOD

    return attempt


def test_no_engine_at_all_is_what_lvs_live_needs() -> None:
    found = engines.check_engines({"numpy": "2"}, [], works)
    assert [(item.name, item.failed) for item in found] == [("engine", True)]
    assert "'lvs[cpu]'" in (found[0].repair or "")


def test_a_listed_provider_counts_only_when_proved() -> None:
    listed = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider"]
    attempt = by_provider({"CPUExecutionProvider"}, listed)
    found = {c.name: c for c in engines.check_engines({"onnxruntime-gpu": "1.31"}, ["NVIDIA H100"], attempt)}
    assert found["CUDAExecutionProvider"].status is Status.LACK
    assert "driver version" in found["CUDAExecutionProvider"].found
    assert found["CPUExecutionProvider"].status is Status.OK
    assert "AzureExecutionProvider" not in found
    assert not any(item.failed for item in found.values())


def test_gpu_that_the_cpu_package_cannot_use_is_told() -> None:
    attempt = by_provider({"CPUExecutionProvider"}, ["CPUExecutionProvider"])
    found = engines.check_engines({"onnxruntime": "1.32"}, ["NVIDIA H100"], attempt)
    lack = next(item for item in found if item.name == "CUDAExecutionProvider")
    assert "uninstall" in (lack.repair or "")
    assert "'lvs[gpu]'" in (lack.repair or "")
    assert len(engines.check_engines({"onnxruntime": "1.32"}, [], attempt)) == 1


def test_onnxruntime_that_does_not_import_is_broken_and_fails() -> None:
    found = engines.check_engines({"onnxruntime": "1.32"}, [], fails)
    assert [item.status for item in found] == [Status.BROKEN, Status.LACK]
    assert found[-1].failed
    assert found[-1].repair == found[0].repair


def test_cpu_provider_is_proved_here_by_a_real_inference() -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'lvs[cpu]'")
    proof = engines.prove("onnxruntime", "CPUExecutionProvider")
    assert proof["providers"] == ["CPUExecutionProvider"]
    assert proof["max_abs_error"] == 0
    with pytest.raises(isolate.ProbeError):
        engines.prove("onnxruntime", "NoSuchExecutionProvider")


def test_wrong_numbers_are_no_proof() -> None:
    assert probe._compared(probe.TINY_OUTPUT + 0.01)["max_abs_error"] < 0.05
    for wrong in (probe.TINY_OUTPUT + 0.1, np.full_like(probe.TINY_OUTPUT, np.nan)):
        with pytest.raises(RuntimeError, match="wrong numbers"):
            probe._compared(wrong)


def test_tiny_model_is_what_its_comment_says() -> None:
    onnx = pytest.importorskip("onnx", reason="pip install 'lvs[export]'")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    weight = onnx.numpy_helper.from_array(np.array([2, -1], np.float32).reshape(2, 1, 1, 1), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, float32, s) for n, s in (("x", [1, 1, 2, 2]), ("y", [1, 2, 2, 2])))
    graph = helper.make_graph(nodes, "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    assert onnx.load_model_from_string(probe.TINY_MODEL) == model


def probed(*rows: dict[str, Any]) -> dict[str, Any]:
    empty = {"image_ms": None, "audio_ms": None, "provider": "", "precision": "", "why_not": ""}
    facts = {"rounds": 15, "took_s": 1.5, "measured": "2026-11-25T00:00:00+00:00", "facts": {"threads": 2}}
    return {"best": "cpu", "rows": [{**empty, **row} for row in rows], **facts}


def test_back_ends_with_their_figures_or_the_reason_and_the_repair() -> None:
    good = {"device": "cpu", "image_ms": 6.5, "audio_ms": 3.0, "provider": "CPUExecutionProvider", "precision": "int8"}
    answer = probed(
        good,
        {"device": "openvino", "why_not": "openvino: not installed: pip install 'lvs[openvino]'"},
        {"device": "cuda", "why_not": "cuda: no NVIDIA GPU is seen here"},
        {"device": "rtx", "why_not": "rtx: no engine is built yet: lvs-live --device rtx builds and keeps it"},
    )
    cpu, openvino, cuda, rtx = backends.check_backends(lambda: answer)
    assert cpu.found == "6.5 ms a picture, 3.0 ms a sound, int8 on CPUExecutionProvider; auto takes it"
    assert cpu.as_dict()["figures"]["image_ms"] == 6.5
    assert cpu.as_dict()["figures"]["threads"] == 2
    assert "'lvs[openvino]'" in (openvino.repair or "")
    assert "nvidia-smi must list it" in (cuda.repair or "")
    assert (rtx.repair or "").startswith("lvs-live --device rtx")
    assert "figures" not in rtx.as_dict()
    assert not any(item.failed for item in (cpu, openvino, cuda, rtx))


def test_a_probe_that_dies_is_a_finding() -> None:
    (found,) = backends.check_backends(fails)
    assert found.status is Status.BROKEN
    assert "no such thing" in found.found


# --- processes and devices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "exit status 3"),
        ("raise OSError('PortAudio library not found')", "OSError: PortAudio library not found"),
        ("import os; os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("print('hello')", "unexpected output: 'hello'"),
    ],
)
def test_whatever_a_probe_does_is_one_line(code: str, message: str) -> None:
    with pytest.raises(isolate.ProbeError, match=re.escape(message)):
        isolate.run(code)


def test_a_probe_that_hangs_is_ended() -> None:
    with pytest.raises(isolate.ProbeError, match=re.escape("no answer within 0 s")):
        isolate.run("import time; time.sleep(600)", timeout_s=0.2)


def test_a_probe_does_not_import_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stray_module.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(isolate.ProbeError, match="stray_module"):
        packages.try_import("stray_module")


def test_missing_portaudio_and_display_are_lacks_that_do_not_fail() -> None:
    found = devices.check_portaudio(lambda _: None)
    if sys.platform.startswith("linux"):
        assert found.repair == "sudo apt-get install -y libportaudio2 libasound2-plugins"
        assert devices.check_display({}).status is Status.LACK
    assert not found.failed
    assert devices.check_display({"DISPLAY": ":0"}).status is Status.OK


def test_pictures_need_one_reader_that_imports() -> None:
    def no_opencv(module: str) -> Any:
        return fails() if module == "cv2" else GOOD

    both = {"opencv-python": "5.0", "av": "18.1"}
    assert devices.check_sources(both, works).found == "read by opencv-python and av"
    assert devices.check_sources(both, no_opencv).found == "read by av"
    assert devices.check_sources({"opencv-python": "5.0"}, no_opencv).failed
    assert devices.check_sources({}, works).failed


CAMERA = {"device": "/dev/video0", "name": "Webcam", "stable": ""}
MICROPHONE = {
    "index": 0,
    "name": "pulse",
    "host_api": "ALSA",
    "channels": 2,
    "sample_rate_hz": 44100.0,
    "is_default": True,
}


def test_devices_are_named_and_their_lack_is_told_once_with_its_own_repair() -> None:
    both = {"cameras": [CAMERA], "microphones": [MICROPHONE]}
    found = {item.name: item for item in devices.check_devices({"sounddevice": "0.5"}, lambda: both)}
    assert found["microphones"].found == "pulse (ALSA) [default]"
    assert "/dev/video0 (Webcam)" in found["cameras"].found
    neither: dict[str, list[Any]] = {"cameras": [], "microphones": []}
    found = {item.name: item for item in devices.check_devices({}, lambda: neither)}
    assert found["cameras"].status is found["microphones"].status is Status.LACK
    assert "'lvs[live]'" in (found["microphones"].repair or "")
    assert not any(item.failed for item in found.values())


def test_bridge_from_alsa_to_the_sound_server_is_found_by_its_file(tmp_path: Path) -> None:
    assert not devices.bridged(tmp_path)
    plugin = tmp_path / "aarch64-linux-gnu" / "alsa-lib" / "libasound_module_pcm_pulse.so"
    plugin.parent.mkdir(parents=True)
    plugin.touch()
    assert devices.bridged(tmp_path)


def test_a_camera_without_the_right_to_open_it_is_broken() -> None:
    found = devices._cameras([CAMERA], lambda path, mode: False)
    assert found.status is Status.BROKEN
    assert "usermod -aG video" in (found.repair or "")
    assert devices._cameras([CAMERA], lambda path, mode: True).status is Status.OK


def test_a_driver_that_hangs_is_a_finding() -> None:
    found = devices.check_devices({}, fails)
    assert found[0].status is Status.BROKEN
    assert {item.name for item in found} == {"cameras", "PortAudio", "display"}


def test_repairs_are_spelled_for_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check.importlib.util, "find_spec", lambda name: object())
    assert check.pip("uninstall a b") == f"{check.python_path()} -m pip uninstall -y a b"
    monkeypatch.setattr(check.importlib.util, "find_spec", lambda name: None)
    assert check.pip("install a") == f"uv pip install --python {check.python_path()} a"


# --- report -----------------------------------------------------------------------------------------------------

SAMPLE = [
    Check(group="python", name="python", status=Status.OK, found="3.11.7", needed=True),
    Check(group="devices", name="display", status=Status.LACK, found="none", repair="lvs-live --sink web"),
]
NO_ENGINE = Check(group="engines", name="engine", status=Status.LACK, found="none", repair="pip ...", needed=True)


def test_json_has_its_shape_and_ok_follows_what_is_needed() -> None:
    answer = json.loads(json.dumps(report.as_dict(SAMPLE)))
    assert answer["schema"] == "lvs-doctor/1"
    assert answer["ok"] is True
    assert {tuple(item) for item in answer["checks"]} == {("group", "name", "status", "found", "repair", "needed")}
    assert report.as_dict([*SAMPLE, NO_ENGINE])["ok"] is False


def test_text_shows_the_repair_below_its_lack() -> None:
    lines = report.as_lines([*SAMPLE, NO_ENGINE])
    place = next(i for i, line in enumerate(lines) if line.startswith("  lack   display"))
    assert lines[place + 1].strip() == "-> lvs-live --sink web"
    assert lines[-1] == "lvs-live cannot run: engine"
    assert report.as_lines(SAMPLE)[-1] == "lvs-live can run"


def test_the_command_itself(tmp_path: Path) -> None:
    # everything real, except that torch and onnx seem absent: importing them takes seconds and shows nothing new
    code = (
        "from lvs_runtime.doctor import packages\n"
        "from lvs_runtime.cli.doctor import main\n"
        "found = packages.installed()\n"
        "packages.installed = lambda: {n: v for n, v in found.items() if not n.startswith(('torch', 'onnxs'))}\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "--json"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 1), done.stderr
    found = {item["name"]: item for item in answer["checks"]}
    assert found["numpy"]["found"] == np.__version__
    assert found["torch"]["status"] == "lack"
    assert {"python", "default bundle", "cameras", "microphones", "PortAudio", "display"} <= found.keys()
    assert all(item["repair"] for item in answer["checks"] if item["status"] != "ok")
    backends = {item["name"]: item for item in answer["checks"] if item["group"] == "backends"}
    assert {
        "--device cpu",
        "--device openvino",
        "--device cuda",
        "--device tensorrt",
        "--device rtx",
    } == backends.keys()
    assert backends["--device cpu"]["figures"]["image_ms"] > 0
    assert sum("auto takes it" in item["found"] for item in backends.values()) == 1
    assert list(tmp_path.glob("lvs/probe/*.json"))  # what it measured is what --device auto goes by
