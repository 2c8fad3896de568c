"""Receiving: which instances are taken in, and what the sender is told."""

import logging
import shutil
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from boneage_roi.errors import InputError
from boneage_roi.imaging.dicom import header_age
from boneage_roi.service.node.queue import Queue

log = logging.getLogger("boneage_roi.node")

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
"""Statuses of C-STORE (PS3.4, table B.2-1)."""

LEAST_FREE = 512 * 2**20
"""Bytes that stay free on the queue's disk."""

OLDEST = 240.0
"""Months: an older patient has no bone age to read."""


@dataclass(frozen=True)
class Rules:
    """Which instances are radiographs of a child's hand, as far as a header says.

    Attributes:
        modalities: those that are taken.
        body_parts: what BodyPartExamined may hold; an instance that says nothing of it is taken.
        most_bytes: of one instance.
        most_waiting: radiographs in the queue; more are refused until some were read.
    """

    modalities: tuple[str, ...] = ("CR", "DX", "RG")
    body_parts: tuple[str, ...] = ("HAND", "WRIST")
    most_bytes: int = 128 * 2**20
    most_waiting: int = 10_000

    @classmethod
    def of(cls, modalities: Sequence[str] | None, body_parts: Sequence[str] | None) -> "Rules":
        """Rules with these words, in any case; None or none leaves what is usual."""
        own = cls()
        return cls(
            tuple(word.upper() for word in modalities or own.modalities),
            tuple(word.upper() for word in body_parts or own.body_parts),
        )

    def refuse(self, header: Dataset) -> str | None:
        """Why an instance is left, in words without anything of the patient; None when it is taken."""
        if str(header.get("Modality", "")).strip().upper() not in self.modalities:
            return "another modality"
        part = str(header.get("BodyPartExamined", "") or "").upper()
        if part and not any(wanted in part for wanted in self.body_parts):
            return "another body part"
        age = header_age(header)
        return "an adult" if age is not None and age > OLDEST else None


@dataclass(frozen=True)
class Listening:
    """Where and how a node listens.

    Attributes:
        title: its application entity title.
        host, port: where it listens.
        callers: titles that may call; empty lets every one in.
        associations: so many at a time.
        tls: None without.
    """

    title: str = "BONEAGE"
    host: str = "127.0.0.1"
    port: int = 11112
    callers: tuple[str, ...] = ()
    associations: int = 10
    tls: ssl.SSLContext | None = field(default=None, repr=False)


def claim(listening: Listening) -> ThreadedAssociationServer:
    """Take the address, for C-ECHO and C-STORE of every storage class; who calls waits until :func:`start`.

    Raises:
        InputError: the port is taken, or a title is none.
    """
    try:
        entity = AE(listening.title)
        entity.require_calling_aet = list(listening.callers)
    except ValueError as error:
        raise InputError(f"application entity title: {error}") from None
    entity.require_called_aet = True
    entity.maximum_associations = listening.associations
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax or "", ALL_TRANSFER_SYNTAXES)
    entity.add_supported_context(Verification)
    address = listening.host, listening.port
    try:
        server = entity.make_server(address, ssl_context=listening.tls, server_class=ThreadedAssociationServer)
    except OSError as error:
        raise InputError(f"{listening.host}:{listening.port}: cannot listen ({error.strerror or error})") from None
    assert isinstance(server, ThreadedAssociationServer)
    return server


def start(server: ThreadedAssociationServer, queue: Queue, rules: Rules) -> Callable[[], None]:
    """Answer in threads of its own, and put what is sent into a queue.

    Returns:
        What ends it.
    """

    def stored(event: evt.Event) -> int:
        try:
            return _stored(event, queue, rules)
        except Exception as error:  # the sender keeps what it cannot get rid of
            log.error("an instance could not be taken in: %s", type(error).__name__)
            return OUT_OF_RESOURCES

    server.bind(evt.EVT_C_STORE, stored)
    server.bind(evt.EVT_C_ECHO, lambda event: SUCCESS)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def end() -> None:
        with suppress(ValueError):  # its last step takes it off a list on which only others are
            server.shutdown()

    return end


def _stored(event: Any, queue: Queue, rules: Rules) -> int:
    content: bytes = event.encoded_dataset()
    if len(content) > rules.most_bytes:
        log.warning("left: larger than %d MB", rules.most_bytes // 2**20)
        return SUCCESS
    try:
        header = event.dataset
        study, instance = str(header.StudyInstanceUID), str(header.SOPInstanceUID)
        reason = rules.refuse(header)
    except Exception:  # pydicom raises anything on damaged bytes
        log.warning("refused: a header that cannot be read")
        return CANNOT_UNDERSTAND
    if reason is not None:
        log.info("left: %s", reason)
        return SUCCESS
    if not has_room(queue, rules, len(content)):
        log.error("refused: the queue is full")
        return OUT_OF_RESOURCES
    log.info("taken" if queue.take(study, instance, content) else "left: answered before")
    return SUCCESS


def has_room(queue: Queue, rules: Rules, size: int) -> bool:
    """Whether the queue and its disk have room for an instance of so many bytes."""
    return shutil.disk_usage(queue.folder).free >= LEAST_FREE + size and queue.waiting < rules.most_waiting
