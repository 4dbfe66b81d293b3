"""Event files for TensorBoard, without TensorFlow: in the run's folder, wherever that is."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, cast

from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from raybead.errors import RaybeadError
from raybead.storage import Folder
from raybead.telling.loggers.values import About, Record, metrics_of

# Modules that protobuf makes when they are imported: what is in them nobody can read beforehand.
event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2 = (
    cast("Any", import_module(f"tensorboard.compat.proto.{name}_pb2"))
    for name in ("event", "summary", "tensor", "tensor_shape", "types")
)
hparams_metadata: Any = import_module("tensorboard.plugins.hparams.metadata")
plugin_data_pb2: Any = import_module("tensorboard.plugins.hparams.plugin_data_pb2")

FOLDER = "tensorboard"
MARK = "tfevents"
UPLOAD_EVERY = 20.0
"""Seconds between writings of a file in an object store, which takes only whole ones."""


class TensorBoard:
    """One folder for each training, named by its stage and key, and one for results."""

    name = "tensorboard"
    faults: tuple[type[Exception], ...] = (RaybeadError, OSError)

    def __init__(self, about: About) -> None:
        self._about = about
        self._folder = about.run / FOLDER
        self._open: dict[str, _Events] = {}

    def parameters(self, parameters: Mapping[str, str]) -> None:
        for stage in self._about.keys:
            events = self._of(stage)
            rows = [f"| `{key}` | `{value}` |" for key, value in parameters.items()]
            text = "\n".join(["| key | value |", "|---|---|", *rows])
            if text not in events.texts:
                events.write([(0, _start(parameters)), (0, _text("job", text))])
                events.texts.add(text)

    def epochs(self, stage: str, records: Sequence[Record]) -> None:
        events = self._of(stage)
        # In order, always: TensorBoard takes a step back for a training that began anew.
        new = [one for one in records if one["epoch"] + 1 > events.last_step]
        events.write((one["epoch"] + 1, _scalars(metrics_of(stage, one))) for one in new)
        if new:
            events.last_step = max(one["epoch"] + 1 for one in new)

    def results(self, numbers: Mapping[str, float]) -> None:
        events = self._of("results")
        same = all(_close(events.newest.get(name), value) for name, value in numbers.items())
        if not same:
            events.write([(events.last_step + 1, _scalars(numbers))])
            events.last_step += 1
            events.newest |= numbers

    def report(self, page: bytes) -> None:  # noqa: ARG002  TensorBoard shows no pages
        text = f"{self._about.run}/report.html"
        events = self._of("results")
        if text not in events.texts:
            events.write([(events.last_step, _text("report", text))])
            events.texts.add(text)

    def close(self, state: str) -> None:  # noqa: ARG002
        for events in self._open.values():
            events.close()
        self._open.clear()

    def _of(self, what: str) -> _Events:
        if what not in self._open:
            key = self._about.keys.get(what)
            self._open[what] = _Events(self._folder / (f"{what}-{key[:8]}" if key else what))
        return self._open[what]


class _Events:
    """A folder of event files, of which this process adds one when it has something to say."""

    def __init__(self, folder: Folder) -> None:
        self._folder, self._number = folder, 0
        self.last_step = 0
        self.newest: dict[str, float] = {}
        self.texts: set[str] = set()
        for event in read_events(folder):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    self.last_step = max(self.last_step, event.step)
                    self.newest[value.tag] = value.simple_value
                else:
                    self.texts |= {one.decode() for one in value.tensor.string_val}
        self._file: io.RawIOBase | io.BytesIO | None = None
        self._name, self._uploaded = "", 0.0

    def write(self, summaries: Iterable[tuple[int, Any]]) -> None:
        """Add events, all or none; where that fails on a disk, the next go to another file."""
        now = time.time()
        events = [event_pb2.Event(wall_time=now, step=n, summary=one) for n, one in summaries]
        if not events:
            return
        there = 0
        try:
            if self._file is None:
                self._begin(now)
            assert self._file is not None
            there = self._file.tell()
            if not there:
                events.insert(0, event_pb2.Event(wall_time=now, file_version="brain.Event:2"))
            held = io.BytesIO()
            records = RecordWriter(held)
            for event in events:
                records.write(event.SerializeToString())
            self._file.write(held.getvalue())
            self._upload()
        except (RaybeadError, OSError):
            if isinstance(self._file, io.RawIOBase):
                self._drop()
            elif self._file is not None:  # they are written once more, and may be there once
                self._file.seek(there)
                self._file.truncate()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._upload(at_once=True)
        self._drop()

    def _begin(self, now: float) -> None:
        self._number += 1
        host = socket.gethostname()
        self._name = f"events.out.{MARK}.{now:.6f}.{host}.{os.getpid()}.{self._number}"
        self._folder.make()
        if self._folder.is_local:
            # Appended to, so that a TensorBoard that has it open sees what is added.
            path = self._folder.uri.removeprefix("file://")
            self._file = open(f"{path}/{self._name}", "xb", buffering=0)  # noqa: SIM115
        else:
            self._file = io.BytesIO()

    def _upload(self, at_once: bool = False) -> None:
        if isinstance(self._file, io.BytesIO) and (
            at_once or time.monotonic() - self._uploaded >= UPLOAD_EVERY
        ):
            self._folder.write(self._name, self._file.getvalue())
            self._uploaded = time.monotonic()

    def _drop(self) -> None:
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = None


def read_events(folder: Folder) -> Iterator[Any]:
    """Events of all files in a folder; of a file that was broken off, those that are whole."""
    for name in folder.names():
        if MARK not in name:
            continue
        content, at = folder.read(name), 0
        while at + 12 <= len(content):  # a length, its checksum, the record, its checksum
            (length,) = struct.unpack_from("<Q", content, at)
            if at + 16 + length > len(content):
                break
            yield event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            at += 16 + length


def _scalars(numbers: Mapping[str, float]) -> Any:
    values = [summary_pb2.Summary.Value(tag=k, simple_value=v) for k, v in numbers.items()]
    return summary_pb2.Summary(value=values)


def _text(tag: str, text: str) -> Any:
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING,
        string_val=[text.encode()],
        tensor_shape=tensor_shape_pb2.TensorShapeProto(
            dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)]
        ),
    )
    metadata = text_metadata.create_summary_metadata(display_name=None, description=None)
    value = summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
    return summary_pb2.Summary(value=[value])


def _start(parameters: Mapping[str, str]) -> Any:
    """What TensorBoard's page of hyperparameters reads."""
    start = plugin_data_pb2.SessionStartInfo()
    for key, value in parameters.items():
        start.hparams[key].string_value = value
    metadata = hparams_metadata.create_summary_metadata(
        plugin_data_pb2.HParamsPluginData(session_start_info=start)
    )
    tag = hparams_metadata.SESSION_START_INFO_TAG
    value = summary_pb2.Summary.Value(
        tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR
    )
    return summary_pb2.Summary(value=[value])


def _close(was: float | None, now: float) -> bool:
    # Event files hold single precision.
    return was is not None and abs(was - now) <= 1e-6 * max(abs(was), abs(now), 1e-30)
