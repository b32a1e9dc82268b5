from __future__ import annotations

import sys

import pytest

from lvs_runtime.errors import ConfigError
from lvs_runtime.sinks import ResultSink, open_sink


@pytest.mark.parametrize(
    ("spec", "kind", "attribute", "value"),
    [
        ("window", "WindowSink", "name", "window"),
        ("web", "WebSink", "name", "web:8080"),
        ("web:9001", "WebSink", "name", "web:9001"),
        ("out.mp4", "Mp4Sink", "name", "out.mp4"),
        ("mp4:strange.name", "Mp4Sink", "name", "strange.name"),
        ("jsonl:a/b.jsonl", "JsonlSink", "path", "a/b.jsonl"),
        ("jsonl:-", "JsonlSink", "path", "-"),
        ("b.jsonl", "JsonlSink", "path", "b.jsonl"),
        ("images:shots", "ImagesSink", "every_ns", 1_000_000_000),
        ("images:shots@0.5", "ImagesSink", "every_ns", 500_000_000),
    ],
)
def test_each_form(spec: str, kind: str, attribute: str, value: object) -> None:
    sink = open_sink(spec)
    assert type(sink).__name__ == kind
    assert getattr(sink, attribute) == value
    assert isinstance(sink, ResultSink)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("jsnol:x", "Did you mean jsonl"),
        ("wndow", "Did you mean window"),
        ("out.avi", "not a sink"),
        ("web:http", "port must be a number"),
        ("web:70000", "from 0 to 65535"),
        ("jsonl:", "needs a path"),
        ("images:", "needs a folder"),
        ("images:x@often", "number of seconds"),
        ("window:2", "takes nothing"),
    ],
)
def test_bad_forms_name_the_good_ones(spec: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        open_sink(spec)
    assert f"--sink {spec}" in str(caught.value)
    assert "Possible: window, web[:PORT]" in str(caught.value)


def test_a_network_host_demands_a_token() -> None:
    with pytest.raises(ConfigError, match="LVS_WEB_TOKEN"):
        open_sink("web", web_host="0.0.0.0")
    with pytest.raises(ConfigError, match="8 or more"):
        open_sink("web", web_host="0.0.0.0", web_token="short")
    open_sink("web", web_host="0.0.0.0", web_token="longenough1")


def test_making_a_sink_loads_nothing_heavy_and_makes_nothing(tmp_path, monkeypatch) -> None:
    for name in ("cv2", "av", "starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    for spec in (f"{tmp_path}/a.mp4", f"jsonl:{tmp_path}/a.jsonl", f"images:{tmp_path}/shots", "web", "window"):
        open_sink(spec)
    assert list(tmp_path.iterdir()) == []
