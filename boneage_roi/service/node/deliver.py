"""From received radiographs to sent findings."""

import io
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydicom import Dataset, dcmread
from pynetdicom import AE

from boneage_roi.errors import InputError
from boneage_roi.outputs.dicom import dicom_objects
from boneage_roi.pipeline.batch import predict_files
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.node.queue import Answer, Queue

log = logging.getLogger("boneage_roi.node")

KINDS = ("sr", "sc")
"""Names of the objects of an answer, as ``dicom_objects`` orders them."""

PAUSES = (2.0, 5.0, 15.0, 60.0, 300.0)
"""Seconds before the receiver is tried again; then always the last."""


@dataclass(frozen=True)
class Peer:
    """Where findings go: ``AET@HOST:PORT``."""

    title: str
    host: str
    port: int
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> "Peer":
        """Read ``AET@HOST:PORT``.

        Raises:
            InputError: it is written in another way.

        >>> Peer.parse("PACS@192.0.2.1:104").port
        104
        """
        title, _, place = text.partition("@")
        host, _, port = place.rpartition(":")
        if not (0 < len(title.strip()) <= 16 and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise InputError(f"{text!r}: write AET@HOST:PORT, such as PACS@192.0.2.1:104")
        return cls(title.strip(), host.strip("[]"), int(port))


def read_complete(reader: BoneAgeReader, queue: Queue, quiet: float, stopped: Callable[[], bool]) -> int:
    """Read the radiographs of every complete study; how many that were.

    One that cannot be read, or must not get a bone age, has an answer without objects. One on which the program
    itself fails is set aside.
    """
    count = 0
    for path in queue.complete(quiet):
        if stopped():
            break
        count += 1
        try:
            objects, said = _objects(reader, path)
        except Exception as error:  # a defect must not hold up the others
            log.error("set aside: %s on %s", type(error).__name__, path.stem)
            queue.fail(path)
            continue
        queue.answer(path, objects)
        log.info("%s: %s", path.stem, said)
    return count


def _objects(reader: BoneAgeReader, path: Path) -> tuple[list[tuple[str, bytes]], str]:
    """The objects of a radiograph, and in a word what became of it."""
    (outcome,) = predict_files(reader, [Item(str(path))])
    made = dicom_objects(outcome, reader.bundle)
    if made is None:
        return [], "; ".join(outcome.rejected) or "cannot be read"
    contents = []
    for kind, dataset in zip(KINDS, made, strict=True):
        file = io.BytesIO()
        dataset.save_as(file, enforce_file_format=True)
        contents.append((kind, file.getvalue()))
    return contents, "read"


class Store(Protocol):
    """A way to a peer: sends objects, calls ``sent`` for each that the peer has, and says how many those were."""

    def __call__(
        self, answers: Sequence[Answer], loaded: Mapping[Path, Dataset], sent: Callable[[Answer, Path], None]
    ) -> int: ...


class Sender:
    """Sends answers, and waits longer each time that it fails.

    Args:
        store: how they go.
        queue: where they wait.
    """

    def __init__(self, store: Store, queue: Queue) -> None:
        self._store = store
        self._queue = queue
        self._failures = 0
        self._next = 0.0

    def send_waiting(self) -> int:
        """Send what waits, unless it is too early to try again; how many objects the peer took."""
        if time.monotonic() < self._next:
            return 0
        answers = self._queue.answers()
        if not answers:
            return 0
        loaded = {path: dcmread(path) for answer in answers[:50] for path in answer.objects}
        sent = self._store(answers[:50], loaded, self._queue.sent)
        if sent < len(loaded):
            pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
            self._failures += 1
            self._next = time.monotonic() + pause
            log.warning("sent %d of %d objects; the next try is in %g s", sent, len(loaded), pause)
        else:
            self._failures = 0
            log.info("sent %d objects", sent)
        return sent


class DimseStore:
    """C-STORE to a peer.

    Args:
        title: the node's own application entity title.
        peer: where the objects go.
    """

    def __init__(self, title: str, peer: Peer) -> None:
        self._entity = AE(title)
        self._entity.acse_timeout = self._entity.dimse_timeout = self._entity.network_timeout = 60
        self._peer = peer

    def __call__(
        self, answers: Sequence[Answer], loaded: Mapping[Path, Dataset], sent: Callable[[Answer, Path], None]
    ) -> int:
        """Send in one association; none where the peer does not answer."""
        self._entity.requested_contexts = []
        for dataset in loaded.values():
            self._entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        tls = None if self._peer.tls is None else (self._peer.tls, self._peer.host)
        association = self._entity.associate(self._peer.host, self._peer.port, ae_title=self._peer.title, tls_args=tls)
        if not association.is_established:
            return 0
        count = 0
        try:
            for answer in answers:
                for path in answer.objects:
                    status = association.send_c_store(loaded[path])
                    if "Status" not in status or (status.Status != 0 and status.Status >> 12 != 0xB):
                        log.warning("not taken: status %s", hex(status.Status) if "Status" in status else "none")
                        continue  # the others may be
                    sent(answer, path)
                    count += 1
        except (RuntimeError, ValueError) as error:  # the association ended, or no context for the class
            log.warning("sending ended: %s", error)
        finally:
            if association.is_established:
                association.release()
        return count


def run(
    reader: BoneAgeReader,
    queue: Queue,
    sender: Sender,
    quiet: float,
    stop: threading.Event,
    *others: Callable[[], None],
) -> None:
    """Read and send until ``stop`` is set: each in its own thread, so that neither holds up the other.

    Args:
        others: work with threads of its own beside these two; it ends when ``stop`` is set.
    """

    def reading() -> None:
        while not stop.is_set():
            if not read_complete(reader, queue, quiet, stop.is_set):
                stop.wait(min(1.0, max(quiet / 4, 0.1)))

    def sending() -> None:
        forgotten = 0.0
        while not stop.is_set():
            try:
                if not sender.send_waiting():
                    stop.wait(0.5)
            except Exception as error:  # a damaged answer must not end the node
                log.error("sending failed: %s", type(error).__name__)
                stop.wait(5)
            if time.monotonic() - forgotten > 3600:
                queue.forget(days=30)
                forgotten = time.monotonic()

    threads = [threading.Thread(target=work) for work in (reading, sending, *others)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            thread.join(0.5)
