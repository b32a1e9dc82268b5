"""Engines: every item answered once, whoever dies. And the command line around a whole job."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import archive_work
import pytest
from archive_work import tables

from lvs_runtime.archive import localize_files
from lvs_runtime.archive.engine import Engine, WorkerDied, map_items
from lvs_runtime.cli.localize import Localize, localize
from lvs_runtime.errors import ConfigError


def mapped(function, items: list[int], engine: Engine) -> dict:
    waiting = iter(items)
    answers = list(map_items(function, lambda: next(waiting, None), engine))
    assert len(answers) == len(items)
    return dict(answers)


def test_here_and_in_processes() -> None:
    expected = {i: i * i for i in range(9)}
    assert mapped(archive_work.square, list(range(9)), Engine(workers=0)) == expected
    assert mapped(archive_work.square, list(range(9)), Engine(workers=2)) == expected


@pytest.mark.slow
def test_a_death_costs_only_who_caused_it(tmp_path: Path) -> None:
    answers = mapped(functools.partial(archive_work.dies, str(tmp_path)), list(range(10)), Engine(workers=2))
    assert isinstance(answers.pop(3), WorkerDied)
    assert answers == {i: i * i for i in range(10) if i != 3}


def test_an_error_of_the_function_comes_out() -> None:
    with pytest.raises(ValueError, match="item 1"):
        mapped(archive_work.raises, [1], Engine(workers=1))


def test_answers_may_bring_items() -> None:
    waiting = [4]
    seen = []
    for item, _ in map_items(archive_work.square, lambda: waiting.pop() if waiting else None, Engine(workers=0)):
        seen.append(item)
        if item:
            waiting.append(item - 1)
    assert seen == [4, 3, 2, 1, 0]


def test_ray_that_is_not_installed_or_not_there(monkeypatch: pytest.MonkeyPatch, whole: Path, toy_path: Path) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "ray", None)
        with pytest.raises(ConfigError, match=r"pip install 'lvs\[cluster\]'"):
            list(localize_files(whole, bundle=toy_path, engine="ray"))


def test_command_line(whole: Path, broken: Path, toy_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    asked = Localize(inputs=(str(whole),), out=str(tmp_path / "out"), bundle=toy_path, workers=0, json=True)
    assert localize(asked) == 0
    out, err = capsys.readouterr()
    assert '"files": 3' in out
    assert "3/3 files" in err
    asked = Localize(
        inputs=(str(whole), str(broken / "zero.mp4")), out=str(tmp_path / "out"), bundle=toy_path, workers=0
    )
    assert localize(asked) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "zero.mp4: the file is empty" in err
    assert "1 of 4 recordings failed" in err
    assert "3 were done before" in err


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "lvs_runtime.cli.localize", *map(str, args)]


def test_messages_and_exit_codes(whole: Path, tmp_path: Path) -> None:
    done = subprocess.run(command(whole, "--out", whole), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("victim", ["worker", "driver"])
def test_kill_9_loses_and_doubles_nothing(victim: str, toy_path: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for i in range(12):
        archive_work.write_clip(clips / f"{i:02d}.mp4", 4.0, seed=i)
    args = command(clips, "--bundle", toy_path, "--workers", "2", "--every", "0.1", "--out")
    assert subprocess.run([*args, tmp_path / "calm"], check=False, capture_output=True).returncode == 0
    job = subprocess.Popen([*args, tmp_path / "out"], stderr=subprocess.DEVNULL)
    while len(list((tmp_path / "out" / "files").rglob("*.parquet"))) < 3:
        time.sleep(0.02)
        assert job.poll() is None
    children = [int(pid) for pid in Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()]
    workers = [pid for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(workers[0] if victim == "worker" else job.pid, signal.SIGKILL)
    code = job.wait(150)
    assert code == (0 if victim == "worker" else -signal.SIGKILL)
    if victim == "driver":
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in workers):  # they leave with their parent
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert subprocess.run([*args, tmp_path / "out"], check=False, capture_output=True).returncode == 0
    assert tables(tmp_path / "out") == tables(tmp_path / "calm")
