"""What may stand after --camera and --mic, and what a wrong one is told."""

from __future__ import annotations

import pytest

from lvs_runtime.capture.uri import parse_camera, parse_mic, redact
from lvs_runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("0", "device", "0"),
        ("/dev/video2", "device", "/dev/video2"),
        ("/dev/v4l/by-id/usb-X-video-index0", "device", "/dev/v4l/by-id/usb-X-video-index0"),
        ("clip.mp4", "file", "clip.mp4"),
        ("../a b/clip.mkv", "file", "../a b/clip.mkv"),
        ("rtsp://host/live", "stream", "rtsp://host/live"),
        ("http://host:81/cam.mjpeg", "stream", "http://host:81/cam.mjpeg"),
        ("udp://239.0.0.1:1234", "stream", "udp://239.0.0.1:1234"),
        ("synthetic:7", "synthetic", "7"),
        ("synthetic:", "synthetic", "0"),
        ("images:frames@12.5", "images", "frames"),
        ("gst:videotestsrc is-live=true ! videoscale", "gst", "videotestsrc is-live=true ! videoscale"),
        ("push", "push", ""),
    ],
)
def test_camera_forms(text, kind, value):
    ref = parse_camera(text)
    assert (ref.kind, ref.value) == (kind, value)


def test_images_rate():
    assert parse_camera("images:frames@12.5").fps == 12.5
    assert parse_camera("images:frames").fps == 15


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing given"),
        ("rstp://host/live", "Did you mean rtsp:"),
        ("rtsp:host", "not a full address"),
        ("synthetic:x", "whole number"),
        ("images:f@0", "FPS"),
        ("images:f@nan", "FPS"),
        ("concat:a.mp4|b.mp4", "not supported"),
        ("subfile,,start,0,end,9,,:x.mp4", "not supported"),
        ("data:text/plain,x", "not supported"),
        ("file:///etc/passwd", "not supported"),
        ("gst: ", "want a pipeline"),
    ],
)
def test_camera_refusals(text, told):
    with pytest.raises(ConfigError, match=told):
        parse_camera(text)


@pytest.mark.parametrize(
    ("camera", "mic", "kind"),
    [
        ("0", None, "device"),
        ("clip.mp4", None, "camera"),
        ("synthetic:1", None, "camera"),
        ("rtsp://h/x", None, "camera"),
        ("images:f", None, "none"),
        ("push", None, "push"),
        ("clip.mp4", "default", "device"),
        ("0", "other.wav", "file"),
        ("0", "none", "none"),
        ("0", "USB Mic", "device"),
    ],
)
def test_mic_forms(camera, mic, kind):
    assert parse_mic(mic, parse_camera(camera)).kind == kind


def test_mic_refusals():
    with pytest.raises(ConfigError, match="no sound of its own"):
        parse_mic("camera", parse_camera("0"))
    with pytest.raises(ConfigError, match="did you mean default"):
        parse_mic("defualt", parse_camera("0"))
    with pytest.raises(ConfigError, match="nothing given"):
        parse_mic("", parse_camera("0"))


def test_secrets_are_not_shown():
    assert redact("lost rtsp://me:secret@cam/live now") == "lost rtsp://***@cam/live now"
    assert redact("rtsp://me:se@cret@cam/live") == "rtsp://***@cam/live"
    assert redact("'http://cam/v?user=me&Password=secret&x=1'") == "'http://cam/v?user=me&Password=***&x=1'"
    assert redact("http://cam/a@b?fps=5") == "http://cam/a@b?fps=5"
    ref = parse_camera("rtsp://me:secret@cam/live")
    assert "secret" not in ref.text
    assert "secret" in ref.value
