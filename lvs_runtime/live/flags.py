"""The visible conditions of a session: set by whoever sees them, shown in every result. Thread-safe."""

from __future__ import annotations

import threading

CAMERA_LOST, CAMERA_STALLED = "camera_lost", "camera_stalled"
MIC_LOST, MIC_STALLED = "mic_lost", "mic_stalled"
FROZEN_PICTURE, BLACK_PICTURE = "frozen_picture", "black_picture"
MIC_DIGITAL_SILENCE = "mic_digital_silence"
SOUND_ENDED = "sound_ended"  # a sound file was shorter than the picture
NO_AUDIO = "no_audio"  # this result rests on no sound
OTHER_CLOCK = "other_clock"  # frames are stamped by another clock than this machine's; its offset is estimated
AUDIO_GAP = "audio_gap"  # zeros stand in this result's window for sound that was lost


class Flags:
    """A set of names, each on or off."""

    def __init__(self) -> None:
        self._active: dict[str, bool] = {}
        self._ever: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, name: str, on: bool) -> bool:
        """Switch `name`; returns whether that changed it."""
        with self._lock:
            changed = self._active.get(name, False) != on
            self._active[name] = on
            if on and changed:
                self._ever[name] = self._ever.get(name, 0) + 1
            return changed

    def active(self) -> tuple[str, ...]:
        """What is on now, sorted."""
        with self._lock:
            return tuple(sorted(name for name, on in self._active.items() if on))

    def seen(self) -> dict[str, int]:
        """How often each came on so far."""
        with self._lock:
            return dict(self._ever)
