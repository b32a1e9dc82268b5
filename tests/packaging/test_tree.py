"""What must not be in a tracked file, and that links in the documents lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    # spelled so that this file does not find itself
    "an index address": re.compile(r"(?:registry = \"htt" r"p|index-url[ =]+http|find[-]links|resolved\": \"http)"),
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(?:work|root|farm|opt/(?:pypi|wheels)|home/\w+)/"),
    "a host and file of a package": re.compile(r"https?://[^\s\"')]*\.(?:whl|tar\.gz)"),
}
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def text_lines(path: Path) -> list[str]:
    data = path.read_bytes()
    return [] if b"\0" in data[:8000] else data.decode("utf-8", errors="replace").splitlines()


@pytest.mark.parametrize(("what", "pattern"), FORBIDDEN.items())
def test_tracked_files_hold_no(what: str, pattern: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked()
        for number, line in enumerate(text_lines(path), 1)
        if pattern.search(line)
    ]
    assert not found, what


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_of_documents_lead_to_files(name: str) -> None:
    document = ROOT / name
    targets = LINK.findall(document.read_text(encoding="utf-8"))
    local = [target.partition("#")[0] for target in targets if "://" not in target and not target.startswith("#")]
    missing = [target for target in local if not (document.parent / target).exists()]
    assert not missing


def test_constraints_hold_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 50
    assert [line for line in lines if not re.match(r"^[a-z0-9.-]+==[0-9a-z.]+( ; .+)?$", line)] == []
