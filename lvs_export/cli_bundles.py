"""`lvs-export inspect | verify | diff`: look at finished bundles. Parse, call, print; none of them needs torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from lvs_runtime.bundle import MANIFEST_NAME, Bundle
from lvs_runtime.cli.common import EXIT_LOST, EXIT_OK

COMPARED = ("target", "parts", "audio", "image", "thresholds", "licence", "tools", "lvs_version")  # of two manifests


@dataclass(kw_only=True)
class Inspect:
    """What a bundle is: parts, precision, sizes, inputs, thresholds, parity. Checks names, sizes, hashes, operators."""

    bundle: tyro.conf.Positional[Path]
    """Folder of the bundle."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """The checked manifest as JSON."""
    debug: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Verify:
    """Run every graph of a bundle on clips: finite maps, unit vectors, fused equal to split, metric. 1 if one fails."""

    bundle: tyro.conf.Positional[Path]
    """Folder of the bundle."""
    clips: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """frames/<id>.jpg + audio/<id>.wav, with boxes.json for the metric; default: 32 clips of the drawn world."""
    ckpt: Path | None = None
    """Compare with this checkpoint in torch too, by the tolerance of the bundle's precision."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """The figures as JSON."""
    debug: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Diff:
    """Two bundles side by side: what their manifests say differently, sizes, maps on the same clips, metric, times."""

    first: tyro.conf.Positional[Path]
    """Folder of the one that counts as true."""
    second: tyro.conf.Positional[Path]
    """Folder of the other."""
    clips: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """frames/<id>.jpg + audio/<id>.wav, with boxes.json for the metric; default: 32 clips of the drawn world."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """The figures as JSON."""
    debug: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show a traceback with an error."""


def inspect(args: Inspect) -> int:
    """Print what the bundle says of itself, once it is checked."""
    bundle = Bundle.open(args.bundle)
    facts = _manifest(bundle)
    if args.json:
        return _print_json(facts)
    from .tables import print_inspection

    print_inspection(bundle, facts)
    return EXIT_OK


def verify(args: Verify) -> int:
    """Run the checks and print them; 1 when one fails."""
    from . import bundle_runs as runs

    bundle = Bundle.open(args.bundle)
    clips = runs.open_clips(bundle, args.clips)
    found = runs.run(bundle, clips)
    checks = runs.checks(found)
    if args.ckpt is not None:
        from .against_torch import parity_check

        checks.append(parity_check(bundle, args.ckpt, clips, found))
    failed = not all(check.passed for check in checks)
    metric = runs.metric(clips, found.maps)
    facts = {
        "bundle": bundle.name,
        "passed": not failed,
        "checks": [{"name": c.name, "passed": c.passed, "found": c.found} for c in checks],
        "metric": metric,
        "ms": found.ms,
    }
    if args.json:
        _print_json(facts)
    else:
        from .tables import print_checks

        print_checks(bundle, checks, metric, found.ms)
    return EXIT_LOST if failed else EXIT_OK


def diff(args: Diff) -> int:
    """Print how the second bundle differs from the first."""
    from . import bundle_runs as runs

    first, second = Bundle.open(args.first), Bundle.open(args.second)
    clips = runs.open_clips(first, args.clips)
    errors, one, two = runs.compare_bundles(first, second, clips)
    said = differences(_manifest(first), _manifest(second))
    facts = {
        "first": first.name,
        "second": second.name,
        "manifest": said,
        "bytes": [_bytes(first), _bytes(second)],
        "map_errors": {part: found.as_dict() for part, found in errors.items()},
        "metric": [runs.metric(clips, one.maps), runs.metric(clips, two.maps)],
        "ms": [one.ms, two.ms],
    }
    if args.json:
        return _print_json(facts)
    from .tables import print_difference

    print_difference(facts)
    return EXIT_OK


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    """{"parts.image.precision": [of the first, of the second]} for every value that differs; None where it lacks."""
    one, two = ({k: v for key in COMPARED for k, v in _flat(key, facts.get(key))} for facts in (first, second))
    names = [*one, *(name for name in two if name not in one)]
    return {name: [one.get(name), two.get(name)] for name in names if one.get(name) != two.get(name)}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, value


def _manifest(bundle: Bundle) -> dict[str, Any]:
    """`manifest.json` whole: `Bundle` keeps only what it needs."""
    facts: dict[str, Any] = json.loads((bundle.path / MANIFEST_NAME).read_bytes())
    return facts


def _bytes(bundle: Bundle) -> int:
    return sum(entry.bytes for entry in bundle.manifest.files.values())


def _print_json(facts: Mapping[str, Any]) -> int:
    sys.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    return EXIT_OK
