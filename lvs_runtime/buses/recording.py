"""A recording's messages as bytes, in the order they were logged: MCAP by `mcap`, rosbag2 folders by `rosbags`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CaptureError


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic of a recording and the name of its message type."""

    topic: str
    kind: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message."""

    topic: str
    kind: str
    log_ns: int
    data: bytes


class Recording:
    """`whole` is False when the file was cut off; then its channels are found by reading it."""

    def __init__(self, path: Path, name: str) -> None:
        """Raises `CaptureError` when there is no recording at `path`."""
        self.whole = True
        self.duration_s: float | None = None
        self.channels: list[Channel] = []
        self._name, self._path = name, path
        self._file: Any = None
        self._bag: Any = None
        if not path.exists():
            raise CaptureError(f"{name}: no such file or folder in {path.parent.absolute()}")
        if path.is_dir() or path.suffix == ".db3":
            self._open_bag(path if path.is_dir() else path.parent)
        else:
            self._open_mcap()

    def messages(self, topics: set[str]) -> Iterator[Recorded]:
        """Every message of `topics`."""
        if self._bag is not None:
            wanted = [c for c in self._bag.connections if c.topic in topics]
            for connection, log_ns, data in self._bag.messages(connections=wanted):
                yield Recorded(connection.topic, connection.msgtype, log_ns, data)
            return
        yield from (recorded for recorded in self._scan() if recorded.topic in topics)

    def close(self) -> None:
        """Close what is open."""
        file, self._file = self._file, None
        bag, self._bag = self._bag, None
        if file is not None:
            file.close()
        if bag is not None:
            bag.close()

    def _library(self, module: str, package: str) -> Any:
        try:
            return importlib.import_module(module)
        except ImportError as error:
            raise CaptureError(f"{self._name}: {package} is not installed. Run: pip install 'lvs[mcap]'") from error

    def _open_bag(self, folder: Path) -> None:
        rosbag2 = self._library("rosbags.rosbag2", "rosbags")
        try:
            self._bag = rosbag2.Reader(folder)
            self._bag.open()
        except rosbag2.ReaderError as error:
            raise CaptureError(f"{self._name}: no rosbag2 recording ({error})") from error
        self.channels = [Channel(c.topic, c.msgtype) for c in self._bag.connections]
        self.duration_s = self._bag.duration / 1e9

    def _open_mcap(self) -> None:
        reader = self._library("mcap.reader", "mcap")
        errors = self._library("mcap.exceptions", "mcap").McapError
        self._file = self._path.open("rb")
        try:
            summary = reader.make_reader(self._file).get_summary()
        except errors:
            summary = None
        if summary is not None and summary.channels:
            schemas = summary.schemas
            self.channels = [
                Channel(c.topic, schemas[c.schema_id].name if c.schema_id in schemas else c.message_encoding)
                for c in summary.channels.values()
            ]
            if summary.statistics is not None:
                s = summary.statistics
                self.duration_s = (s.message_end_time - s.message_start_time) / 1e9
            return
        self.whole = False
        found = {(r.topic, r.kind) for r in self._scan()}
        if not found:
            self.close()
            raise CaptureError(f"{self._name}: not an MCAP recording, or cut off before its first message")
        self.channels = [Channel(topic, kind) for topic, kind in sorted(found)]

    def _scan(self) -> Iterator[Recorded]:
        reader = self._library("mcap.reader", "mcap")
        errors = self._library("mcap.exceptions", "mcap").McapError
        self._file.seek(0)
        chosen = reader.make_reader(self._file) if self.whole else reader.NonSeekingReader(self._file)
        try:
            for schema, channel, message in chosen.iter_messages(log_time_order=self.whole):
                kind = schema.name if schema is not None else channel.message_encoding
                yield Recorded(channel.topic, kind, message.log_time, message.data)
        except errors as error:
            if self.whole:
                raise CaptureError(f"{self._name}: damaged ({type(error).__name__}: {error})") from error
