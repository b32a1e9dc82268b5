"""The live page: a small server for a few viewers. `PageServer` needs starlette, uvicorn, websockets (extra `web`)."""

from __future__ import annotations

from .server import PageServer

__all__ = ["PageServer"]
