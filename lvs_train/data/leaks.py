"""Does the training list hold test clips? The lists that the field shares do: 3,709 of 5,158 in the usual "144k".

Ids are compared in one spelling (`ids.clip_key`). A test clip among the training ids stops the run; another cut of a
test clip's video only warns.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lvs_runtime.errors import DataError

from .ids import clip_key, video_key

SHOWN = 5


class LeakWarning(UserWarning):
    """Training and test share something, short of a clip; or a leak was allowed."""


@dataclass(frozen=True)
class LeakReport:
    """What was found, for the checkpoint. `clips` and `videos` name test sets and their shared ids."""

    train: int
    test: Mapping[str, int]
    clips: Mapping[str, tuple[str, ...]]
    videos: Mapping[str, tuple[str, ...]]
    allowed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values: counts, whether it was allowed, and the first ids."""
        return {
            "train_ids": self.train,
            "test_ids": dict(self.test),
            "shared_clips": {name: len(ids) for name, ids in self.clips.items()},
            "shared_videos_at_another_time": {name: len(ids) for name, ids in self.videos.items()},
            "first_shared_clips": {name: list(ids[:SHOWN]) for name, ids in self.clips.items() if ids},
            "allowed": self.allowed,
        }


def find_leaks(train_ids: Iterable[str], tests: Mapping[str, Iterable[str]], allowed: bool = False) -> LeakReport:
    """Compare training ids with each named test set's; both in any spelling, with folders and suffixes."""
    train = {clip_key(i) for i in train_ids}
    train_videos = {video_key(i) for i in train}
    sizes, clips, videos = dict[str, int](), dict[str, tuple[str, ...]](), dict[str, tuple[str, ...]]()
    for name, ids in tests.items():
        test = {clip_key(i) for i in ids}
        sizes[name] = len(test)
        clips[name] = tuple(sorted(test & train))
        videos[name] = tuple(sorted({i for i in test - train if video_key(i) in train_videos}))
    return LeakReport(len(train), sizes, clips, videos, allowed)


def check_leaks(train_ids: Iterable[str], tests: Mapping[str, Iterable[str]], allow: bool = False) -> LeakReport:
    """`find_leaks`, then `DataError` on shared clips unless `allow`, and a `LeakWarning` on shared videos.

    Keep the report's `as_dict()` in the checkpoint: who allowed a leak must not be able to forget it.
    """
    report = find_leaks(train_ids, tests, allow)
    found = {name: ids for name, ids in report.clips.items() if ids}
    if found:
        parts = [
            f"{len(ids)} of {report.test[n]} clips of {n} ({', '.join(ids[:SHOWN])} ...)" for n, ids in found.items()
        ]
        message = f"{report.train} training ids hold {'; '.join(parts)}: results on them would mean nothing"
        if not allow:
            raise DataError(f"{message}. Remove them from the training list, or --allow-leak, which is recorded")
        warnings.warn(f"{message}; allowed, and recorded", LeakWarning, stacklevel=2)
    for name, ids in report.videos.items():
        if ids:
            warnings.warn(
                f"{len(ids)} test clips of {name} come from videos that training sees at another time, "
                f"e.g. {', '.join(ids[:SHOWN])}",
                LeakWarning,
                stacklevel=2,
            )
    return report


def without_leaks(train_ids: Iterable[str], tests: Mapping[str, Iterable[str]], videos: bool = False) -> list[str]:
    """The training ids without test clips, in order; `videos` also drops every cut of a test clip's video."""
    key = video_key if videos else clip_key
    forbidden = {key(i) for ids in tests.values() for i in ids}
    return [i for i in train_ids if key(i) not in forbidden]
