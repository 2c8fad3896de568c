"""The body of a request: counted while it comes, never written to a disk."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from boneage_roi.service.problems import Problem
from boneage_roi.service.settings import Settings

RAW_TYPES = ("application/dicom", "application/octet-stream")
"""Types of a body that is the file itself, beside every ``image/...``."""

FIELD_BYTES = 64 * 2**10
"""The longest field beside the file."""


@dataclass(frozen=True)
class Submission:
    """What a request brought: the file's bytes, and the fields beside it."""

    data: bytes
    fields: dict[str, str] = field(default_factory=dict)


class _InMemory(MultiPartParser):
    """Files stay in memory, whatever their size: nothing of a patient lies on a disk."""

    spool_max_size = 2**40


class Intake:
    """Receives bodies within the limits of a service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held = 0

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Submission]:
        """The file and the fields of a request: a multipart form with a part ``file``, or the file and a query.

        Its bytes count as held until the block ends.

        Raises:
            Problem: 408 too slow, 411 or 413 too long, 415 another type of content, 422 no file or a form that is
                damaged, 429 too many bodies at a time.
        """
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        form = kind == "multipart/form-data"
        if not form and kind not in RAW_TYPES and not kind.startswith("image/"):
            raise Problem(415, f"send multipart/form-data, image/png or the like, or one of {', '.join(RAW_TYPES)}")
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Problem(415, "send the file as it is, without a content encoding")
        held = [0]
        try:
            body = self._counted(request, held)
            yield await self._in_time(_form(request, body) if form else _raw(request, body))
        finally:
            self._held -= held[0]

    async def _in_time(self, receiving: Coroutine[None, None, Submission]) -> Submission:
        seconds = self._settings.body_seconds
        try:
            async with asyncio.timeout(seconds):
                return await receiving
        except TimeoutError:
            raise Problem(408, f"the body took longer than {seconds:g} s", headers={"Connection": "close"}) from None

    async def _counted(self, request: Request, held: list[int]) -> AsyncGenerator[bytes]:
        limit = self._settings.max_upload
        too_long = Problem(
            413, f"the body is longer than {limit / 2**20:g} MB; send one radiograph", headers={"Connection": "close"}
        )
        length = request.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length[:19]) > limit:
            raise too_long
        async for chunk in request.stream():
            self._held += len(chunk)
            held[0] += len(chunk)
            if held[0] > limit:
                raise too_long
            if self._held > self._settings.held_bytes:
                raise Problem(
                    429, "too many uploads at a time; try again", headers={"Retry-After": "2", "Connection": "close"}
                )
            yield chunk


async def _raw(request: Request, body: AsyncGenerator[bytes]) -> Submission:
    data = b"".join([chunk async for chunk in body])
    if not data:
        raise Problem(422, "the body is empty; send a radiograph", "input")
    return Submission(data, _once(request.query_params.multi_items()))


async def _form(request: Request, body: AsyncGenerator[bytes]) -> Submission:
    try:
        parser = _InMemory(request.headers, body, max_files=1, max_fields=32, max_part_size=FIELD_BYTES)
        form = await parser.parse()
    except (MultiPartException, FormParserError, UnicodeDecodeError, KeyError, LookupError) as error:
        text = error.message if isinstance(error, MultiPartException) else "it is damaged"
        raise Problem(422, f"the form cannot be read: {text}", "input") from None
    try:
        return await _submission(form)
    finally:
        await form.close()


async def _submission(form: FormData) -> Submission:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Problem(422, "the form has no file; send the radiograph as the part `file`", "input")
    data = await file.read()
    if not data:
        raise Problem(422, "the file is empty; send a radiograph", "input")
    given = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return Submission(data, _once(given))


def _once(items: list[tuple[str, str]]) -> dict[str, str]:
    """Fields by name; empty ones were left out by whoever filled in a form."""
    fields: dict[str, str] = {}
    for name, value in items:
        if name in fields:
            raise Problem(422, f"{name[:40]!r} is given twice", "input")
        fields[name] = value
    return {name: value for name, value in fields.items() if value.strip()}
