"""Cameras, microphones, files and streams behind one protocol. Libraries are loaded only when a source is opened."""

from __future__ import annotations

from .base import Dropped, EndOfSource, Item, SoundBlock, Source, SourceInfo, SourceLost
from .devices import CameraEntry, DeviceList, MicrophoneEntry, list_devices
from .select import make_sources
from .uri import SourceRef, parse_camera, parse_mic

__all__ = [
    "CameraEntry",
    "DeviceList",
    "Dropped",
    "EndOfSource",
    "Item",
    "MicrophoneEntry",
    "SoundBlock",
    "Source",
    "SourceInfo",
    "SourceLost",
    "SourceRef",
    "list_devices",
    "make_sources",
    "parse_camera",
    "parse_mic",
]
