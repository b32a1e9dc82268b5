"""Message stamps: the source's own unchanged, else dates that follow a wall clock that is set."""

from __future__ import annotations

import time

import pytest

from lvs_runtime.buses.message import Pictures, direction, result_message
from lvs_runtime.buses.stamps import MessageStamps, split_ns
from lvs_runtime.sinks.encode import encode_json

SECOND = 1_000_000_000


def test_capture_becomes_a_date(bus):
    offset = time.time_ns() - time.monotonic_ns()
    result = bus.result(3)
    assert MessageStamps(offset).of(result) == result.capture_ns + offset
    assert abs(MessageStamps(0).offset_ns - offset) < SECOND


def test_the_source_s_stamp_is_carried_unchanged_and_its_sound_beside_it(bus):
    stamps = MessageStamps(0)
    result = bus.result(3, source_stamp_ns=77 * SECOND + 5)
    assert stamps.of(result) == 77 * SECOND + 5
    assert stamps.of_sound(result.capture_ns - 1000) == 77 * SECOND + 5 - 1000


def test_a_set_wall_clock_is_followed_and_counted(caplog):
    stamps = MessageStamps(1000 * SECOND)
    begin = time.monotonic_ns()
    stamps.look(begin + 1000 * SECOND + 2 * SECOND + 1_000_000, begin + 2 * SECOND)
    assert (stamps.steps, stamps.offset_ns) == (0, 1000 * SECOND)  # 1 ms is wobble
    stamps.look(begin + 1000 * SECOND + 9 * SECOND, begin + 2 * SECOND + 1)
    assert stamps.steps == 0  # looked a moment ago
    stamps.look(begin + 1003 * SECOND + 4 * SECOND, begin + 4 * SECOND)
    assert (stamps.steps, stamps.offset_ns) == (1, 1003 * SECOND)
    assert "wall clock was set by 3.000 s" in caplog.text


def test_message_is_small_and_whole(bus):
    result = bus.tracked(3)[-1]
    message = result_message(result, 123)
    assert len(encode_json(message)) < 1500
    assert message["frame_id"] == "camera_optical_frame"
    assert message["stamp_ns"] == 123
    assert message["tracks"][0]["track_id"] == 1
    assert message["bearings"][0]["box_px"] == message["boxes_px"][0]
    assert len(result_message(result, 123, with_map=True)["similarity_map"]) == 14
    x, y, z = direction(result)
    assert x > 0 > y
    assert z > 0
    assert direction(bus.result(0, seen=False)) is None


def test_pictures_keep_their_rate(bus):
    pytest.importorskip("cv2")
    pictures = Pictures(10.0)
    taken = [k for k in range(50) if pictures.take(bus.frame(k), bus.result(k)) is not None]
    assert 19 <= len(taken) <= 21  # 50 frames at 25 a second are 2 s
    assert Pictures(0.0).take(bus.frame(0), bus.result(0)) is None
    again = pictures.take(bus.frame(0), bus.result(0, capture_ns=bus.START_NS - 60 * SECOND))
    assert again[:2] == b"\xff\xd8"  # a stream that began anew is not waited for


def test_split():
    assert split_ns(-1) == (-1, 999_999_999)
    assert split_ns(1_700_000_000_123_456_789) == (1_700_000_000, 123_456_789)
