"""Run every check and show what was found: lines for people, one JSON object for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from . import backends, devices, engines, packages
from .check import Check, Status

SCHEMA = "lvs-doctor/1"
TITLES = {
    "python": "Python",
    "packages": "Packages",
    "engines": "Engines and model",
    "backends": "Back ends, --device auto takes the fastest",
    "devices": "Devices",
}
MARKS = {Status.OK: "ok", Status.LACK: "lack", Status.BROKEN: "BROKEN"}


def examine() -> list[Check]:
    """Every check, in the order of the report. Each probe is a process; a few run side by side."""
    distributions = packages.installed()
    jobs: list[Callable[[], Iterable[Check]]] = [
        lambda: [packages.check_python()],
        lambda: packages.check_base(distributions),
        lambda: packages.check_conflicts(distributions),
    ]
    for extra, name, module in packages.extras_to_try(distributions):
        jobs.append(partial(_listed, partial(packages.check_extra, extra, name, module, distributions)))
    jobs += [
        lambda: packages.check_trio(distributions),
        lambda: engines.check_engines(distributions, engines.nvidia_gpus()),
        lambda: [engines.check_bundle()],
        lambda: [devices.check_sources(distributions)],
        lambda: devices.check_devices(distributions),
    ]
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = [check for checks in pool.map(lambda job: list(job()), jobs) for check in checks]
    return found + backends.check_backends()  # it measures: nothing else may run meanwhile


def _listed(job: Callable[[], Check]) -> list[Check]:
    return [job()]


def as_dict(checks: Iterable[Check]) -> dict[str, Any]:
    """The whole report as plain JSON values; `ok` says whether `lvs-live` can run."""
    checks = list(checks)
    return {
        "schema": SCHEMA,
        "ok": not any(check.failed for check in checks),
        "checks": [check.as_dict() for check in checks],
    }


def as_lines(checks: Iterable[Check]) -> list[str]:
    """The report as text: a block for each group, the repair under each lack, the verdict last."""
    checks, lines = list(checks), list[str]()
    width = max((len(check.name) for check in checks), default=0)
    for group, title in TITLES.items():
        members = [check for check in checks if check.group == group]
        if members:
            lines += ["", title]
        for check in members:
            lines.append(f"  {MARKS[check.status]:7}{check.name:{width}}  {check.found}")
            if check.repair and check.status is not Status.OK:
                lines.append(f"  {'':7}{'':{width}}  -> {check.repair}")
    failed = [check.name for check in checks if check.failed]
    verdict = f"lvs-live cannot run: {', '.join(failed)}" if failed else "lvs-live can run"
    return [*lines[1:], "", verdict]
