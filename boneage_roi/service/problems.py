"""Errors as problem details (RFC 9457): one line that says what is wrong and what to do."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from boneage_roi.errors import InputError, RejectedError

log = logging.getLogger("boneage_roi.service")

MEDIA_TYPE = "application/problem+json"

_SOURCE = "<bytes>: "  # what the reader calls an upload; nobody needs to be told


class Problem(Exception):
    """A request that is not served.

    Attributes:
        status: the HTTP status.
        detail: one line: what is wrong, and what to do.
        kind: the last part of the problem's type.
        more: members that go beside these.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        kind: str = "",
        *,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = " ".join(detail.split())
        self.kind = kind or HTTPStatus(status).phrase.lower().replace(" ", "-").replace("'", "")
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """The answer that says so."""
        content = {
            "type": f"urn:boneage-roi:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return JSONResponse(content | self.more, self.status, self.headers, MEDIA_TYPE)


def problem_of(error: InputError) -> Problem:
    """What the reader's own error is to a client: 422 with its one line, and the reasons of a rejection."""
    line = str(error).removeprefix(_SOURCE)
    if isinstance(error, RejectedError):
        return Problem(422, line, "rejected", more={"reasons": list(error.reasons)})
    return Problem(422, line, "input")


def install(app: FastAPI) -> None:
    """Make every error of an application a problem."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(InputError)
    async def input_error(request: Request, error: InputError) -> JSONResponse:
        return problem_of(error).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return Problem(422, f"{place}: {first['msg']}", "input").response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return Problem(error.status_code, str(error.detail), headers=error.headers).response()

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> JSONResponse:
        # The type and where it arose, not its text: it might quote what was sent.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
        log.error("defect: %s at %s", type(error).__name__, where)
        return Problem(500, "the service failed; please report it with the time of the request").response()
