"""A real RTSP server on 127.0.0.1 for the stream tests, by GStreamer. Run it with the distribution's own Python.

    /usr/bin/python3 rtsp_server.py PORT [--user NAME --password WORD]

    rtsp://127.0.0.1:PORT/live   H.264 with Opus: a moving ball, a tick each second, one key frame a second
    rtsp://127.0.0.1:PORT/jpeg   motion JPEG with uncompressed 48 kHz sound (RTP L16)
    rtsp://127.0.0.1:PORT/mute   H.264 without sound

Debian packages: scripts/install-system-packages.sh. PyGObject is no wheel, hence not our environment's Python.
"""

from __future__ import annotations

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

PICTURE = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=15/1"
H264 = (
    f"{PICTURE} ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 "
    "! rtph264pay name=pay0 pt=96 config-interval=1"
)
JPEG = f"{PICTURE} ! jpegenc ! rtpjpegpay name=pay0 pt=26"
SOUND = "audiotestsrc is-live=true wave=ticks volume=0.8"
OPUS = f"{SOUND} ! audio/x-raw,rate=48000,channels=2 ! audioconvert ! opusenc ! rtpopuspay name=pay1 pt=97"
PCM = f"{SOUND} ! audioconvert ! audio/x-raw,format=S16BE,rate=48000,channels=2 ! rtpL16pay name=pay1 pt=97"
MOUNTS = {"/live": f"{H264} {OPUS}", "/jpeg": f"{JPEG} {PCM}", "/mute": H264}


def guard(server: GstRtspServer.RTSPServer, user: str, password: str) -> GstRtspServer.RTSPToken:
    """Ask for basic authentication; returns the token that opens a mount."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    return token


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    args = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(args.port)
    if args.user:
        guard(server, args.user, args.password)
    for path, pipeline in MOUNTS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {pipeline} )")
        factory.set_shared(True)
        if args.user:
            factory.add_role_from_structure(role())
        server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


def role() -> Gst.Structure:
    """What a user may do with a mount."""
    structure = Gst.Structure.new_empty("user")
    structure.set_value("media.factory.access", True)
    structure.set_value("media.factory.construct", True)
    return structure


if __name__ == "__main__":
    main()
