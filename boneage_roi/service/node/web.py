"""DICOMweb: asks an archive for hand radiographs (QIDO-RS), fetches them (WADO-RS), stores the findings (STOW-RS)."""

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom import Dataset
from requests import RequestException

from boneage_roi.errors import InputError
from boneage_roi.service.node.queue import Answer, Queue
from boneage_roi.service.node.receive import Rules, has_room

log = logging.getLogger("boneage_roi.node")

SECONDS = 60
"""An archive that says nothing for so long is given up."""

SECONDS_TO_CONNECT = 3
"""An archive that does not take a connection for so long is not there."""

PAGE = 100
"""Studies that are asked for at a time."""

WHOLE = 512 * 2**20
"""Bytes of a STOW-RS request that goes as one piece: not every archive takes chunks."""

FAILURES = (RequestException, ValueError, KeyError, AttributeError, OSError)
"""What goes wrong on the way to an archive, or in what it says."""


@dataclass(frozen=True)
class Archive:
    """A DICOMweb service.

    Attributes:
        url: its root, under which ``/studies`` lies.
        token: sent as ``Authorization: Bearer``.
        user, password: sent as basic authentication.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def client(self) -> DICOMwebClient:
        """Open a client; nothing is asked yet.

        Raises:
            InputError: the address is none, or there is a user without a password.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or " " in self.url.strip():
            raise InputError(f"{self.url!r}: write the root of a DICOMweb service, such as https://pacs/dicom-web")
        if self.user is not None and self.password is None:
            raise InputError("a user needs a password")
        session = create_session()
        if self.user is not None:
            session.auth = (self.user, self.password or "")
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else None
        timeout = (SECONDS_TO_CONNECT, SECONDS)
        client = DICOMwebClient(self.url.rstrip("/"), session, headers=headers, chunk_size=WHOLE, timeout=timeout)
        client.set_http_retry_params(retry=False)  # the next round tries again; its own tries take half a minute
        return client


class Fetcher:
    """Puts an archive's hand radiographs into the queue, each once.

    Args:
        client: of the archive.
        days: so many days back a study may lie; None for all.

    Attributes:
        failed: why the last :meth:`fetch` could not ask for, or fetch, all; empty when it could.
    """

    def __init__(self, client: DICOMwebClient, queue: Queue, rules: Rules, days: int | None) -> None:
        self._client, self._queue, self._rules, self._days = client, queue, rules, days
        self.failed = ""

    def fetch(self, stopped: Callable[[], bool]) -> int:
        """Take in what is new; how many instances that are. An instance that cannot be fetched is tried again."""
        count, self.failed = 0, ""
        try:
            for study, series, instance in self._instances():
                if stopped():
                    break
                if not self._queue.knows(study, instance):
                    count += self._take(study, series, instance)
        except FAILURES as error:
            self.failed = f"the archive cannot be asked: {type(error).__name__}"
        return count

    def _instances(self) -> Iterator[tuple[str, str, str]]:
        """UIDs of study, series and instance of what may be a hand radiograph."""
        filters: dict[str, Any] = {}
        if self._days is not None:
            filters["StudyDate"] = f"{date.today() - timedelta(days=self._days):%Y%m%d}-"
        fields = ["BodyPartExamined"]
        for study in self._studies(filters):
            for series in self._client.search_for_series(study, fields=fields):
                header = Dataset.from_json(series)
                if self._rules.refuse(header) is None:
                    uid = str(header.SeriesInstanceUID)
                    for found in self._client.search_for_instances(study, uid):
                        yield study, uid, str(Dataset.from_json(found).SOPInstanceUID)

    def _studies(self, filters: Mapping[str, Any]) -> Iterator[str]:
        """UIDs of studies of a modality that is read, a page at a time."""
        seen: set[str] = set()
        for modality in self._rules.modalities:
            wanted = {**filters, "ModalitiesInStudy": modality}
            start = 0
            while page := self._client.search_for_studies(limit=PAGE, offset=start, search_filters=wanted):
                uids = [str(Dataset.from_json(study).StudyInstanceUID) for study in page]
                new = [uid for uid in uids if uid not in seen]
                yield from new
                seen.update(new)
                if len(page) < PAGE or not new:  # some archives know no offset
                    break
                start += len(page)

    def _take(self, study: str, series: str, instance: str) -> int:
        """Fetch one; 1 when it is in the queue."""
        try:
            dataset = self._client.retrieve_instance(study, series, instance)
            reason = self._rules.refuse(dataset)
            content = io.BytesIO()
            dataset.save_as(content, enforce_file_format=True)
        except Exception as error:  # pydicom raises anything on damaged bytes
            self.failed = f"not all could be fetched: {type(error).__name__}"
            return 0
        if reason is None and content.tell() > self._rules.most_bytes:
            reason = f"larger than {self._rules.most_bytes // 2**20} MB"
        if reason is not None:
            log.info("left: %s", reason)
            self._queue.leave(instance)
            return 0
        if not has_room(self._queue, self._rules, content.tell()):
            log.error("not taken: the queue is full")
            return 0
        return int(self._queue.take(study, instance, content.getvalue()))


class WebStore:
    """STOW-RS to an archive."""

    def __init__(self, client: DICOMwebClient) -> None:
        self._client = client

    def __call__(
        self, answers: Sequence[Answer], loaded: Mapping[Path, Dataset], sent: Callable[[Answer, Path], None]
    ) -> int:
        """Store the objects of each answer; how many the archive took."""
        count = 0
        for answer in answers:
            for path in answer.objects:
                dataset = loaded[path]
                try:
                    said = self._client.store_instances([dataset], str(dataset.StudyInstanceUID))
                except FAILURES as error:
                    log.warning("not taken: %s", type(error).__name__)
                    return count
                if said.get("FailedSOPSequence"):
                    log.warning("not taken: reason %s", said.FailedSOPSequence[0].get("FailureReason", "none"))
                    continue  # the others may be
                sent(answer, path)
                count += 1
        return count
