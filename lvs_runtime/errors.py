"""The exception tree. Each message says what was asked, what was found, and the command that repairs it."""

from __future__ import annotations


class LvsError(Exception):
    """Base of every error that a user can cause or repair. Command lines print it and exit with 2."""


class ConfigError(LvsError, ValueError):
    """A flag, recipe key or argument is unknown or out of range."""


class BundleError(LvsError):
    """A bundle is missing, incomplete, tampered with, or from a newer schema."""


class CheckpointError(LvsError):
    """A file is not a checkpoint, is truncated, holds other weights, or would run code while loading."""


class DeviceError(LvsError):
    """A provider or device was asked for and is not usable here."""


class CaptureError(LvsError):
    """A camera, microphone, stream or media file cannot be opened, or was lost."""


class ParityError(LvsError):
    """Two implementations that must agree do not."""


class DataError(LvsError):
    """Training or evaluation material is unusable: unreadable, mismatched, or leaking."""


class SinkError(LvsError):
    """A result cannot be written: port taken, folder not writable, disk full, no display."""
