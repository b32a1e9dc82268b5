"""A server for this page on this machine: the page, ONNX Runtime's files as /ort/, a bundle as /bundle/.

    python examples/web/serve.py --ort node_modules/onnxruntime-web/dist --bundle lvs_runtime/bundle_default

Python's own server lacks the two headers without which a browser gives WebAssembly a single thread.
"""

from __future__ import annotations

import argparse
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

PAGE = Path(__file__).resolve().parent


class Handler(SimpleHTTPRequestHandler):
    """Files of three folders, nothing outside them."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".wasm": "application/wasm"}

    def __init__(self, *given: object, folders: dict[str, Path]) -> None:
        """`folders`: first part of the address -> folder; "" is the page's own."""
        self.folders = folders
        super().__init__(*given)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        """The file that an address means; one that does not exist for anything else."""
        parts = [part for part in unquote(urlsplit(path).path).split("/") if part]
        first, rest = (parts[0], parts[1:]) if parts and parts[0] in self.folders else ("", parts or ["index.html"])
        plain = len(rest) == 1 and rest[0] not in (".", "..") and "\\" not in rest[0]
        return str(self.folders[first] / (rest[0] if plain else "no such file"))

    def end_headers(self) -> None:
        """With isolation, for threads."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def server(ort: Path, bundle: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server for this machine only (cameras need a page from localhost or https); port 0 takes a free one."""
    folders = {"": PAGE, "ort": ort.resolve(), "bundle": bundle.resolve()}
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, folders=folders))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ort", type=Path, required=True, help="folder dist/ of the npm package onnxruntime-web")
    parser.add_argument("--bundle", type=Path, required=True, help="folder written by lvs-export")
    parser.add_argument("--port", type=int, default=8080)
    args = parser.parse_args()
    for file in (args.ort / "ort.wasm.min.mjs", args.bundle / "manifest.json"):
        if not file.is_file():
            parser.error(f"{file} does not exist")
    with server(args.ort, args.bundle, args.port) as running:
        print(f"http://localhost:{running.server_address[1]}/")
        running.serve_forever()


if __name__ == "__main__":
    main()
