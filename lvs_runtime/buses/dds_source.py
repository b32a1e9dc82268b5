"""Pictures and sound from ROS 2 topics without ROS, by Cyclone DDS.

A picture topic whose name ends with /compressed is a sensor_msgs/CompressedImage, any other a sensor_msgs/Image. Sound
is audio_common_msgs/AudioDataStamped, PCM s16le; its rate and channels stand in the address (?rate=16000&channels=1).
Read best effort, as ROS's sensor data: that matches every writer.
"""

from __future__ import annotations

import threading
from typing import Any

from ..errors import CaptureError
from .cdr import RosAudio
from .dds_sink import domain_id, new_participant, wire_topic
from .live_source import Heard, LiveBusSource, sound_format

_WAIT_MS = 100
_JOIN_S = 2.0


class DdsSource(LiveBusSource):
    """One participant, one thread that waits for all its readers."""

    _thread: threading.Thread | None = None

    def subscribe(self) -> None:
        """Join the domain and start reading."""
        spec = self.picture_spec or self.sound_spec
        assert spec is not None
        try:
            from cyclonedds.core import DDSException
        except ImportError as error:
            raise CaptureError(f"{spec.text}: cyclonedds is not installed. Run: pip install 'lvs[dds]'") from error
        from .dds_types import dds_types

        types = dds_types()
        readers: list[Any] = []
        try:
            participant = new_participant(domain_id(spec))
            if self.picture_spec is not None:
                topic = self.picture_spec.topic
                kind = types.CompressedImage if topic.endswith("/compressed") else types.Image
                readers.append(_reader(participant, topic, kind))
            if self.sound_spec is not None:
                readers.append(_reader(participant, self.sound_spec.topic, types.AudioDataStamped))
        except DDSException as error:
            raise CaptureError(f"{spec.text}: the DDS domain cannot be joined ({error}); see CYCLONEDDS_URI") from error
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(participant, readers), name="lvs-dds", daemon=True)
        self._thread.start()

    def unsubscribe(self) -> bool:
        """Stop the thread; it lets go of the participant."""
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        self._stop.set()
        thread.join(_JOIN_S)
        return not thread.is_alive()

    def _run(self, participant: Any, readers: list[Any]) -> None:
        from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState, WaitSet
        from cyclonedds.util import duration

        waiter = WaitSet(participant)
        state = ViewState.Any | SampleState.NotRead | InstanceState.Alive
        conditions = [ReadCondition(reader, state) for reader in readers]
        for condition in conditions:
            waiter.attach(condition)
        form = sound_format(self.sound_spec) if self.sound_spec is not None else (0, 0)
        while not self._stop.is_set():
            waiter.wait(duration(milliseconds=_WAIT_MS))
            for reader in readers:
                for sample in reader.take(16):
                    self.guarded(_message, sample, form)


def _message(sample: Any, form: tuple[int, int]) -> Any:
    found = getattr(sample, "message", None)
    if found is None:
        raise ValueError("a writer has gone")  # an invalid sample: its instance ended
    if isinstance(found, RosAudio):
        return Heard(found.stamp_ns, found.data, *form)
    return found


def _reader(participant: Any, topic: str, kind: Any) -> Any:
    from cyclonedds.core import Policy, Qos
    from cyclonedds.sub import DataReader
    from cyclonedds.topic import Topic

    plain = Policy.DataRepresentation(use_cdrv0_representation=True)
    qos = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(16), Policy.Durability.Volatile, plain)
    return DataReader(participant, Topic(participant, wire_topic(topic), kind, qos=qos), qos=qos)
