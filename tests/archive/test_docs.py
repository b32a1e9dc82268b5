"""The queries of docs/archives.md run, each on tables as a job writes them, and say what they promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lvs_runtime.archive import localize_files

duckdb = pytest.importorskip("duckdb")
DOCS = Path(__file__).parents[2] / "docs/archives.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, whole: Path, broken: Path, toy_path: Path) -> Path:
    folder = tmp_path_factory.mktemp("queries")
    inputs = [whole / "a.mp4", broken / "zero.mp4", broken / "silent.mp4"]
    list(localize_files(inputs, bundle=toy_path, out=folder / "results", workers=0))
    return folder


def queries() -> list[str]:
    text = DOCS.read_text(encoding="utf-8")
    found = re.findall(r"```sql\n(.*?)```", text, re.S)
    found += re.findall(r"`(COPY .*?);`", text)
    return found


def test_all_are_found() -> None:
    assert len(queries()) == 6


def test_they_run_and_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)

    def ask(query: str) -> list[tuple]:
        return duckdb.execute(query).fetchall()

    unseen, left, best, failed, cells, copied = (ask(query) for query in queries())
    seen = ask("SELECT count(*) FROM 'results/frames/*/*.parquet' WHERE audible AND confidence < 0.2")
    assert len(unseen) == seen[0][0]
    assert {Path(row[0]).name for row in left} <= {"a.mp4"}
    assert [Path(row[0]).name for row in best] == ["a.mp4", "silent.mp4"]
    assert failed[0][:3] == ("file", "the file is empty (0 bytes)", 1)
    assert len(cells) == 196
    assert all(-1 <= value <= 1 for _, _, value in cells)
    assert copied == [(10,)]
    assert ask("SELECT count(*) FROM 'frames.parquet'") == [(10,)]
