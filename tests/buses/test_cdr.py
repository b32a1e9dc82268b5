"""ROS messages and Foxglove's, read by hand, against libraries that write them; malformed ones are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvs_runtime.buses import cdr, decode
from lvs_runtime.buses.mcap_source import parse
from lvs_runtime.buses.recording import Recorded
from lvs_runtime.errors import CaptureError, DataError


@pytest.fixture(scope="module")
def ros():
    typesys = pytest.importorskip("rosbags.typesys")
    return typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)


def header(ros, frame_id="cam"):
    time = ros.types["builtin_interfaces/msg/Time"](sec=12, nanosec=34)
    return ros.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def ros_image(ros, encoding="rgb8", channels=3, frame_id="cam", pad=0, shape=(2, 3)):
    pixels = np.arange(shape[0] * shape[1] * channels, dtype=np.uint8).reshape(*shape, channels)
    rows = np.pad(pixels.reshape(shape[0], -1), ((0, 0), (0, pad)))
    message = ros.types["sensor_msgs/msg/Image"](
        header(ros, frame_id), shape[0], shape[1], encoding, 0, rows.shape[1], rows.ravel()
    )
    return bytes(ros.serialize_cdr(message, message.__msgtype__)), pixels


@pytest.mark.parametrize("frame_id", ["", "c", "camera_optical_frame", "kamera_für_köpfe"])
def test_image(ros, frame_id):
    data, pixels = ros_image(ros, frame_id=frame_id, pad=5)
    message = cdr.read_image(data)
    assert (message.stamp_ns, message.frame_id, message.encoding) == (12_000_000_034, frame_id, "rgb8")
    np.testing.assert_array_equal(decode.picture(message), pixels[:, :, ::-1])


@pytest.mark.parametrize(
    ("encoding", "channels", "order"),
    [("bgr8", 3, (0, 1, 2)), ("mono8", 1, (0, 0, 0)), ("bgra8", 4, (0, 1, 2)), ("rgba8", 4, (2, 1, 0))],
)
def test_encodings(ros, encoding, channels, order):
    data, pixels = ros_image(ros, encoding, channels)
    np.testing.assert_array_equal(decode.picture(cdr.read_image(data)), pixels[:, :, list(order)])


def test_what_is_not_supported_is_said(ros):
    data, _ = ros_image(ros, "bayer_rggb8", 1)
    with pytest.raises(CaptureError, match=r"bayer_rggb8.*supported: bgr8"):
        decode.picture(cdr.read_image(data))
    with pytest.raises(DataError, match="'mp3'; supported"):
        decode.sound(b"", "mp3", 1)


def test_compressed(ros):
    message = ros.types["sensor_msgs/msg/CompressedImage"](header(ros), "jpeg", np.arange(7, dtype=np.uint8))
    read = cdr.read_compressed(bytes(ros.serialize_cdr(message, message.__msgtype__)))
    assert (read.stamp_ns, read.encoding, bytes(read.data)) == (12_000_000_034, "jpeg", bytes(range(7)))
    assert decode.picture(read) is None  # no JPEG at all


def test_jpeg_by_either_library():
    cv2 = pytest.importorskip("cv2")
    pytest.importorskip("av")
    image = np.full((32, 48, 3), (10, 120, 240), np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    for picture in (decode.compressed(jpeg), decode._by_av(jpeg)):
        np.testing.assert_allclose(picture.astype(int), image.astype(int), atol=4)
    assert decode.compressed(b"") is None
    assert decode._by_av(b"no picture") is None


def test_sound_formats():
    wave = np.array([[0.5, -0.25], [0.0, 0.75]], np.float32)
    for name, kind, scale in (("s16le", "<i2", 32768), ("f32le", "<f4", 1), ("S32LE", "<i4", 2**31)):
        np.testing.assert_allclose(decode.sound((wave * scale).astype(kind).tobytes(), name, 2), wave, atol=1e-4)
    assert len(decode.sound(b"\0\0\0", "s16le", 1)) == 1  # a cut sample is left out


def test_foxglove_messages():
    m = pytest.importorskip("foxglove.messages")
    stamp = m.Timestamp(12, 34)
    image = m.CompressedImage(timestamp=stamp, frame_id="head", data=b"abc", format="jpeg").encode()
    read = parse(Recorded("/c", "foxglove.CompressedImage", 5, image), (16_000, 1))
    assert (read.stamp_ns, read.frame_id, bytes(read.data)) == (12_000_000_034, "head", b"abc")
    sound = m.RawAudio(timestamp=stamp, data=b"\1\0", format="pcm-s16", sample_rate=48_000, number_of_channels=2)
    heard = parse(Recorded("/a", "foxglove.RawAudio", 5, sound.encode()), (16_000, 1))
    assert (heard.sample_rate, heard.channels, heard.sample_format) == (48_000, 2, "pcm-s16")
    unstamped = m.CompressedImage(frame_id="head", data=b"abc", format="jpeg").encode()
    assert parse(Recorded("/c", "foxglove.CompressedImage", 5, unstamped), (16_000, 1)).stamp_ns == 5


@given(
    st.binary(max_size=80),
    st.sampled_from(["image", "compressed", "audio", "foxglove.CompressedImage", "foxglove.RawAudio"]),
)
def test_garbage_is_refused_not_fatal(data, kind):
    try:
        if kind.startswith("foxglove"):
            parse(Recorded("/x", kind, 5, data), (16_000, 1))
        else:
            getattr(cdr, f"read_{kind}")(b"\0\1\0\0" + data)
    except DataError:
        return


def test_other_byte_order_and_other_formats(ros):
    message = ros.types["sensor_msgs/msg/CompressedImage"](header(ros), "png", np.arange(3, dtype=np.uint8))
    big = bytes(ros.serialize_cdr(message, message.__msgtype__, little_endian=False))
    assert cdr.read_compressed(big).stamp_ns == 12_000_000_034
    with pytest.raises(DataError, match="plain CDR"):
        cdr.read_image(b"\0\7\0\0rest")
