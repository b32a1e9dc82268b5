"""What each command of `lvs-bench` does: check, measure, print, write."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bench import report, rows, table, writing
from ..bench.resources import Meter
from ..errors import ConfigError

if TYPE_CHECKING:
    from ..bench.sessions import SessionRun
    from ..localizer import Localizer
    from .bench import Accuracy, Camera, Compare, Live, Loopback, Single, Sweep


def run(args: Any) -> int:
    """Run the command whose arguments these are; returns the exit code."""
    commands: dict[str, Callable[[Any], int]] = {
        "Single": single,
        "Camera": camera,
        "Live": live,
        "Loopback": loopback,
        "Sweep": sweep,
        "Compare": compare,
        "Accuracy": accuracy,
    }
    _check(args)
    return commands[type(args).__name__](args)  # by name: under `python -m` the classes exist twice


def single(args: Single) -> int:
    """Closed loop."""
    from ..bench import cold, plots, scaling
    from ..bench import single as closed

    localizer = _open(args.bundle, args.device, args.threads)  # faults end here, before any measuring
    scaling.check(localizer, args.batch, args.audio_seconds)
    started = cold.measure(str(args.bundle) if args.bundle else None, args.device, args.threads)
    inputs = closed.drawn_inputs(localizer.bundle.audio.sample_rate, localizer.bundle.live_seconds)
    meter = Meter().start()
    timings, scaled = closed.measure(localizer, inputs, args.seconds), None
    if (args.batch or args.audio_seconds) and not timings.partial:
        scaled = scaling.measure(localizer, inputs, args.seconds, args.batch, args.audio_seconds)
    meter.stop()
    result = {**report.single_report(localizer, timings, inputs, meter, started), "scaling": scaled}
    made = plots.of_single(result, timings.stages_ms) if args.plot else {}
    return _finish(args, result, closed.as_jsonl(timings), made)


def camera(args: Camera) -> int:
    """Open loop."""
    from ..bench import camera as scheduled
    from ..bench import cold

    size = _size(args.resolution)
    plan = scheduled.CameraPlan(
        fps=args.fps, seconds=args.seconds, size_px=size, streams=args.cameras, audio_rate_hz=args.audio_rate,
        audio_seconds=args.audio_seconds,
    )  # fmt: skip
    localizer = _open(args.bundle, args.device, args.threads)
    started = cold.measure(str(args.bundle) if args.bundle else None, args.device, args.threads)
    shown = scheduled.material(plan)
    meter = Meter().start()
    done = scheduled.run(localizer, plan, shown)
    meter.stop()
    settings = {**_sizes(size), "fps": args.fps, "audio_hz": args.audio_rate, "streams": args.cameras,
                "input_sha256": shown.sha256}  # fmt: skip
    if args.audio_seconds:
        settings["window_s"] = args.audio_seconds
    result = report.session_report("camera", localizer, done, meter, settings, started, args.deadline_ms)
    return _finish_session(args, result, done)


def live(args: Live) -> int:
    """Devices."""
    from ..bench import cold
    from ..bench import live as devices

    size = _size(args.resolution) if args.resolution else None
    plan = devices.LivePlan(
        camera=args.camera, mic=args.mic, seconds=args.seconds, size_px=size, fps=args.fps,
        audio_rate_hz=args.audio_rate,
    )  # fmt: skip
    localizer = _open(args.bundle, args.device, args.threads)
    started = cold.measure(str(args.bundle) if args.bundle else None, args.device, args.threads)
    meter = Meter().start()
    done = devices.run(localizer, plan)
    meter.stop()
    started["devices_to_first_result"] = done.first_result_ms
    settings = {**_camera(done, size, args.fps), "audio_hz": args.audio_rate, "input_sha256": None}
    result = report.session_report("live", localizer, done, meter, settings, started, args.deadline_ms)
    return _finish_session(args, result, done)


def loopback(args: Loopback) -> int:
    """Flash and beep."""
    from ..bench import loopback_run

    size = _size(args.resolution)
    localizer = _open(args.bundle, args.device, args.threads)
    meter = Meter().start()
    done, found = loopback_run.run(
        localizer, args.emitter, camera=args.camera, mic=args.mic, fps=args.fps, size_px=size, seconds=args.seconds
    )
    meter.stop()
    settings = {**_sizes(size), "fps": args.fps, "audio_hz": None, "emitter": args.emitter, "input_sha256": None}
    result = report.session_report("loopback", localizer, done, meter, settings, None, args.deadline_ms)
    result["loopback"] = found
    result["notes"] += loopback_run.notes(args.emitter, found)
    return _finish_session(args, result, done)


def sweep(args: Sweep) -> int:
    """Combinations."""
    from ..bench import plots
    from ..bench import sweep as sweeps

    grid = sweeps.Grid(
        fps=args.fps, sizes=tuple(_size(text) for text in args.resolution), threads=args.threads or (None,),
        audio_hz=args.audio_rate or (None,), audio_s=args.audio_seconds or (None,), cameras=args.cameras,
        bundles=_chosen(args.bundle, args.precision), devices=args.device, seconds=args.seconds,
        budget_ms=args.budget_ms,
    )  # fmt: skip
    print(f"{grid.cells} combinations, about {grid.total_s:.0f} s", file=sys.stderr)
    meter, cells, partial = Meter().start(), [], False
    try:
        for row in sweeps.run(grid, _open, lambda line: print(line, file=sys.stderr)):
            cells.append(row)
    except KeyboardInterrupt:
        partial = True
    meter.stop()
    result = {
        **report.envelope("sweep", meter, partial or len(cells) < grid.cells),
        "run": {"mode": "sweep", "open_loop": True, "budget_ms": args.budget_ms, "seconds_each": args.seconds},
        "cells": cells,
        "highest": sweeps.highest(cells),
        "notes": sweeps.notes(cells),
        "not_covered": report.NOT_COVERED["camera"],
    }
    made = {"heat": plots.heat(cells, sweeps.varied(cells), args.budget_ms)} if args.plot and cells else {}
    return _finish(args, result, None, made)


def compare(args: Compare) -> int:
    """Two results, or two bundles now."""
    from ..bench import compare as comparing
    from ..bench import paired_run

    meter = Meter().start()
    if args.paired:
        pair = [_open(_shipped(path), device, threads) for path, device, threads in _two(args)]
        found = paired_run.run(pair, (str(args.a), str(args.b)), args.seconds)
    else:
        found = comparing.compare(args.a, args.b, args.across_precision)
    meter.stop()
    result = {**report.envelope("compare", meter, False), "comparison": found}
    return _finish(args, result, None, {})


def accuracy(args: Accuracy) -> int:
    """Speed and quality."""
    from ..bench import quality

    if not 20 <= args.number <= 100_000:
        raise ConfigError(f"--number {args.number}: want 20 to 100000 pictures")
    meter, measured = Meter().start(), []
    partial = False
    try:
        for bundle in args.bundle or (None,):
            for device in args.device:
                localizer = _open(bundle, device, args.threads)
                measured.append(
                    {
                        "bundle": localizer.bundle.name,
                        "sha256": report.bundle_block(localizer)["sha256"],
                        "device": device,
                        "provider": localizer.provider,
                        "precision": localizer.precision,
                        "threads": localizer.backend.describe().get("threads"),
                        **quality.measure(localizer, args.number),
                    }
                )
    except KeyboardInterrupt:
        partial = True
        if not measured:
            raise
    meter.stop()
    notes = ["speeds were measured one after the other; for a ratio of two: lvs-bench compare --paired"]
    result = {**report.envelope("accuracy", meter, partial), "rows": measured, "notes": notes}
    return _finish(args, result, None, {})


def _open(bundle: Path | None, device: str, threads: int | None) -> Localizer:
    from ..localizer import Localizer

    return Localizer.from_bundle(bundle, device, threads)


def _chosen(bundles: Sequence[Path], precisions: Sequence[str]) -> tuple[Path | None, ...]:
    """The bundles of a sweep; with `precisions` those of each, in this order."""
    from ..bundle import Bundle

    paths = tuple(_shipped(path) for path in bundles) or (None,)
    if not precisions:
        return paths
    held = {path: Bundle.open(path).part("image").precision for path in paths}
    for wanted in precisions:
        if wanted not in held.values():
            found = ", ".join(f"{path or 'the shipped one'} {precision}" for path, precision in held.items())
            raise ConfigError(
                f"--precision {wanted}: no bundle has it; found {found}. Name one with --bundle, or make it: "
                f"lvs-export --ckpt WEIGHTS --split --dynamic --precision {wanted} --out bundle-{wanted}"
            )
    return tuple(path for wanted in precisions for path, precision in held.items() if precision == wanted)


def _shipped(path: Path) -> Path | None:
    return None if str(path) == "default" else path


def _two(args: Compare) -> list[tuple[Path, str, int | None]]:
    devices, threads = args.device, args.threads or (None,)
    if len(devices) > 2 or len(threads) > 2:
        raise ConfigError("compare: one --device or --threads for both, or two: of A and of B")
    return [(args.a, devices[0], threads[0]), (args.b, devices[-1], threads[-1])]


def _size(text: str) -> tuple[int, int]:
    from .live import parse_resolution

    size = parse_resolution(text)
    assert size is not None
    if not 32 <= min(size) <= max(size) <= 16_384:
        raise ConfigError(f"--resolution {text}: want sides of 32 to 16384 px")
    return size


def _sizes(size: tuple[int, int] | None) -> dict[str, int | None]:
    return {"width": size[0] if size else None, "height": size[1] if size else None}


def _camera(done: SessionRun, size: tuple[int, int] | None, fps: float | None) -> dict[str, Any]:
    """What the camera delivers, which need not be what it was asked for."""
    asked: dict[str, Any] = {"size_px": size, "fps": fps}
    told = next((source for source in done.sources if source["size_px"]), asked)
    return {**_sizes(told["size_px"]), "fps": told["fps"] or fps}


def _check(args: Any) -> None:
    if not 0 < getattr(args, "seconds", 1.0) <= 86_400:
        raise ConfigError(f"--seconds {args.seconds}: want more than 0 and at most 86400")
    if args.json is not None:
        writing.check_writable("--json", args.json)
    folder = getattr(args, "plot", None)
    if folder is not None:
        from ..bench import plots

        plots.figure(1, 1)  # matplotlib is asked for now, not after an hour
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--plot {folder}: cannot be made ({error.strerror}); choose another folder") from error
        writing.check_writable("--plot", folder / "report.html")


def _finish_session(args: Any, result: dict[str, Any], done: SessionRun) -> int:
    from ..bench import plots

    made = plots.of_session(result, done.rows, done.dropped, done.start_ns) if args.plot and len(done.rows) else {}
    return _finish(args, result, rows.as_jsonl(done.rows, done.dropped), made)


def _finish(args: Any, result: dict[str, Any], samples: Iterable[str] | None, made: dict[str, Any]) -> int:
    """Print, write, draw. A partial run is written like a whole one and says so."""
    result["samples"] = None
    if args.json is not None and samples is not None:
        beside = args.json.with_name(f"{args.json.stem}.samples.jsonl")
        result["samples"] = writing.write_samples("--json", beside, samples)
    print("\n".join(table.as_lines(result)))
    if args.json is not None:
        writing.write_json("--json", args.json, result)
        print(f"written: {args.json}")
    if getattr(args, "plot", None) is not None:
        for path in draw(args.plot, result, made):
            print(f"written: {path}")
    return 130 if result["partial"] else 0


def draw(folder: Path, result: dict[str, Any], made: dict[str, Any]) -> Sequence[Path]:
    """Plots and the page into `folder`; returns what was written."""
    from ..bench import page, plots

    written, inline = [], {}
    for name, figure in made.items():
        inline[name] = plots.svg(figure)
        writing.write_bytes("--plot", folder / f"{name}.png", plots.png(figure))
        writing.write_text("--plot", folder / f"{name}.svg", inline[name])
        written += [folder / f"{name}.png", folder / f"{name}.svg"]
    writing.write_text("--plot", folder / "report.html", page.page(result, inline))
    return [*written, folder / "report.html"]
