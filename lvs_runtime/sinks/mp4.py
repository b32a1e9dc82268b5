"""A recording: the annotated picture with its sound, playable after SIGKILL, an ordinary seekable mp4 when closed.

Pictures keep their own stamps (variable frame rate: no picture is doubled or left out to make a rhythm). The file
is written in fragments that are flushed as they fill; closing turns it into a plain mp4 (`hybrid_fragmented`).
"""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from .base import SessionInfo
from .files import cannot_create, check_writable, write_failed
from .soundtrack import Soundtrack

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_TICKS = 60_000  # a second; MPEG-4 allows no more than 65,535
_KEY_FRAME_NS = 1_000_000_000
_SOUND_MAY_LAG_NS = 1_000_000_000  # after this the track goes on in silence, else no fragment would be finished
_AAC_FRAME = 1024
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_CONTAINER_OPTIONS = {
    "movflags": "hybrid_fragmented+frag_keyframe+default_base_moof",
    "frag_duration": "500000",  # microseconds: what SIGKILL may cost
    "flush_packets": "1",  # without it the fragments stay in a buffer and a killed session leaves 28 bytes
}
_ENCODER_OPTIONS = {
    "libx264": {"preset": "veryfast", "tune": "zerolatency", "crf": "21", "forced-idr": "1"},
    "mpeg4": {"qmin": "3", "qmax": "8"},
}


class Mp4Sink:
    """Writes one mp4. The sound track exists when `SessionInfo.sample_rate` says that sound will come."""

    queue_size = 16
    wants_stop = False

    def __init__(self, path: str, codec: str = "libx264") -> None:
        """`codec`: "libx264" (plays everywhere) or "mpeg4" (no GPL code involved)."""
        self.path = Path(path)
        self.codec = codec
        self.name = str(path)
        self.pictures = 0
        self.soundtrack: Soundtrack | None = None
        self._container: OutputContainer | None = None
        self._video: VideoStream | None = None
        self._sound: AudioStream | None = None
        self._sound_pts = 0
        self._start_ns = 0
        self._last_pts = -1
        self._key_ns = 0

    def open(self, info: SessionInfo) -> None:
        """Check path, PyAV and encoder, and create the file."""
        try:
            import av
        except ImportError as error:
            raise SinkError(f"sink {self.name}: PyAV is not installed. Run: pip install 'lvs[video]'") from error
        from ..view.overlay import Overlay

        check_writable(self.path, self.name)
        if self.codec not in _ENCODER_OPTIONS or self.codec not in av.codecs_available:
            usable = [name for name in _ENCODER_OPTIONS if name in av.codecs_available]
            raise SinkError(f"sink {self.name}: this PyAV has no encoder {self.codec}; it has {', '.join(usable)}")
        self._info = info
        self._overlay = Overlay()
        if info.sample_rate:
            self.soundtrack = Soundtrack(info.sample_rate)
        try:
            self.path.write_bytes(b"")
            self._container = av.open(str(self.path), "w", format="mp4", options=dict(_CONTAINER_OPTIONS))
        except OSError as error:
            raise cannot_create(error, self.name) from error

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """One annotated picture at its capture stamp."""
        if self._video is None:
            self._start_ns = result.capture_ns
        seconds = (result.capture_ns - self._start_ns) / 1e9
        picture = self._overlay.draw(frame.image_bgr, result, f"{int(seconds // 60):02d}:{seconds % 60:04.1f}")
        self._guard(self._write_picture, picture, result.capture_ns)

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Continuous sound, laid under the pictures by its stamp."""
        if self.soundtrack is None:
            return
        if sample_rate != self.soundtrack.sample_rate:
            announced = self.soundtrack.sample_rate
            raise SinkError(f"sink {self.name}: sound came at {sample_rate} Hz, announced were {announced} Hz")
        self.soundtrack.push(samples, start_ns)
        self._guard(self._write_sound)

    def close(self) -> None:
        """Write what is left and finish the file. A recording without any picture leaves no file."""
        container, self._container = self._container, None
        if container is None:
            return
        if self._video is None:
            container.close()
            self.path.unlink(missing_ok=True)
            return
        try:
            self._flush(container)
            container.close()
        except OSError as error:
            _give_up(container)
            raise write_failed(error, self.name, self._kept()) from error

    def _kept(self) -> str:
        return f"The first {self._last_pts / _TICKS:.1f} s ({self.pictures} pictures) are recorded."

    def _guard(self, step: Any, *args: Any) -> None:
        """Run one writing step; on failure close what there is, so that it plays, and say so."""
        try:
            step(*args)
        except OSError as error:
            container, self._container = self._container, None
            if container is not None:
                _give_up(container)
            raise write_failed(error, self.name, self._kept()) from error

    def _write_picture(self, picture: npt.NDArray[np.uint8], capture_ns: int) -> None:
        import av
        from av.video.frame import PictureType

        video = self._video or self._start(picture, capture_ns)
        frame = av.VideoFrame.from_ndarray(_fit(picture, video.width, video.height), format="bgr24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        pts = max(round((capture_ns - self._start_ns) * _TICKS / 1e9), self._last_pts + 1)
        frame.pts, frame.time_base = pts, Fraction(1, _TICKS)
        if self.pictures == 0 or capture_ns - self._key_ns >= _KEY_FRAME_NS:
            frame.pict_type = PictureType.I
            self._key_ns = capture_ns
        nominal = round(_TICKS / (self._info.fps or 25.0)) if self._last_pts < 0 else pts - self._last_pts
        for packet in video.encode(frame):
            packet.duration = min(nominal, _TICKS)
            self._mux(packet)
        self._last_pts = pts
        self.pictures += 1
        if self.soundtrack is not None:
            self.soundtrack.fill_to(capture_ns - _SOUND_MAY_LAG_NS)
            self._write_sound()

    def _start(self, picture: npt.NDArray[np.uint8], capture_ns: int) -> VideoStream:
        container = self._container
        assert container is not None
        height, width = picture.shape[:2]
        video = cast("VideoStream", container.add_stream(self.codec, options=dict(_ENCODER_OPTIONS[self.codec])))
        video.width, video.height = width // 2 * 2, height // 2 * 2
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, _TICKS)
        video.codec_context.gop_size = 250
        video.codec_context.color_range = 1  # MPEG; and BT.709 throughout, so that players show the same colours
        video.codec_context.colorspace = video.codec_context.color_primaries = video.codec_context.color_trc = 1
        if self.soundtrack is not None:
            rate = self.soundtrack.sample_rate
            self._sound = container.add_stream("aac", rate=rate if rate in _AAC_RATES else 48_000, layout="mono")
            self._sound.bit_rate = 96_000
            self.soundtrack.start(capture_ns)
        self._video = video
        return video

    def _write_sound(self) -> None:
        if self._video is None or self.soundtrack is None:
            return
        while (samples := self.soundtrack.take(_AAC_FRAME)) is not None:
            self._encode_sound(samples)

    def _encode_sound(self, samples: npt.NDArray[np.float32]) -> None:
        import av

        assert self._sound is not None
        assert self.soundtrack is not None
        frame = av.AudioFrame.from_ndarray(np.clip(samples, -1, 1)[None], format="fltp", layout="mono")
        frame.sample_rate = self.soundtrack.sample_rate
        frame.pts, frame.time_base = self._sound_pts, Fraction(1, self.soundtrack.sample_rate)
        self._sound_pts += len(samples)
        for packet in self._sound.encode(frame):
            self._mux(packet)

    def _mux(self, packet: Any) -> None:
        # AAC begins with one packet of priming before time 0, for which the muxer would shift both tracks by 21 ms;
        # left out, its sole cost is that the first 21 ms of sound fade in.
        early = packet.pts is not None and packet.pts < 0
        if self._container is not None and not early:
            self._container.mux(packet)

    def _flush(self, container: OutputContainer) -> None:
        assert self._video is not None
        for packet in self._video.encode(None):
            container.mux(packet)
        if self._sound is None or self.soundtrack is None:
            return
        self._container = container  # `_encode_sound` writes through it
        try:
            rest = self.soundtrack.rest()
            if len(rest):
                self._encode_sound(rest)
            for packet in self._sound.encode(None):
                self._mux(packet)
        finally:
            self._container = None


def _give_up(container: OutputContainer) -> None:
    """Close a file whose last write failed; the fragments before it stay playable."""
    with suppress(OSError):
        container.close()


def _fit(picture: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """`picture` at the recording's size: cut by one row or column where odd; a resized stream gets black borders."""
    if picture.shape[0] // 2 * 2 == height and picture.shape[1] // 2 * 2 == width:
        return np.ascontiguousarray(picture[:height, :width])
    import av

    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner_w, inner_h = max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale))
    inner = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
    scaled = inner.reformat(width=inner_w, height=inner_h).to_ndarray(format="bgr24")
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner_h) // 2, (width - inner_w) // 2
    canvas[top : top + inner_h, left : left + inner_w] = scaled
    return canvas
