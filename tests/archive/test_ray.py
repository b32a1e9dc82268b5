"""The Ray engine. Two-node clusters, kills and whole jobs are slow: `pytest --run-slow tests/archive/test_ray.py`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import archive_work
import pytest
from archive_work import tables

from lvs_runtime.archive.engine import Engine, map_items, parse_engine
from lvs_runtime.errors import ConfigError

ray = pytest.importorskip("ray")
PORT = 6457
RAY = Path(sys.executable).with_name("ray")
ENVIRONMENT = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}


def test_engines_are_understood() -> None:
    assert parse_engine("ray://head:10001", 8) == Engine(kind="ray", address="ray://head:10001", workers=8)
    assert parse_engine("ray", None, 0.25).gpus == 0.25


def start(*args: str) -> set[int]:
    """`ray start` with these arguments; the processes that it left behind."""
    before = ray_processes()
    command = [RAY, "start", *args, "--num-cpus=1", "--num-gpus=0", "--disable-usage-stats"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=110, check=False)
    if done.returncode:
        kill(ray_processes() - before)
        pytest.fail(f"`ray start {' '.join(args)}`: {done.stderr[-500:]}")
    return ray_processes() - before


def ray_processes() -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"/site-packages/ray/" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def kill(processes: set[int]) -> None:
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[set[int]]]:
    """Two nodes of one CPU each on this machine: the processes of each."""
    nodes: list[set[int]] = []
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{PORT}")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    try:
        nodes.append(start("--head", f"--port={PORT}", "--include-dashboard=false"))
        nodes.append(start(f"--address=127.0.0.1:{PORT}"))
        yield nodes
    finally:
        kill({process for node in nodes for process in node})


@pytest.mark.slow
@pytest.mark.timeout(590)
def test_two_nodes_one_killed_and_the_same_tables(
    cluster: list[set[int]], toy_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for i in range(24):
        archive_work.write_clip(clips / f"{i:02d}.mp4", 3.0, seed=i)
    command = [sys.executable, "-m", "lvs_runtime.cli.localize", clips, "--bundle", toy_path, "--every", "0.1", "--out"]
    job = subprocess.Popen([*command, tmp_path / "ray", "--engine", "ray"], env=dict(os.environ))
    while len(list((tmp_path / "ray" / "files").rglob("*.parquet"))) < 6:
        time.sleep(0.1)
        assert job.poll() is None
    kill(cluster[1])
    assert job.wait(300) == 0
    assert subprocess.run([*command, tmp_path / "local", "--workers", "0"], check=False).returncode == 0
    assert tables(tmp_path / "ray") == tables(tmp_path / "local")
    frames, files = tables(tmp_path / "ray")
    assert len({(row["file_id"], row["t_s"]) for row in frames}) == len(frames) == 24 * 30
    assert len(files) == 24


@pytest.mark.parametrize("address", [None, "ray://127.0.0.1:1"])
def test_no_cluster_there(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ConfigError, match="nothing answers at"):
        next(iter(map_items(archive_work.square, lambda: 1, Engine(kind="ray", address=address))))
