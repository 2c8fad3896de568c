"""Running the application: one process, slow and oversized requests kept out."""

import asyncio
import logging
import os
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from boneage_roi.errors import InputError
from boneage_roi.service.settings import Settings

HEAD_SECONDS = 15.0
"""A connection on which no whole request head has come by then is closed."""

HEAD_BYTES = 16 * 2**10
"""The longest head of a request."""

CONNECTIONS = 256
"""More at a time get 503."""


class PatientProtocol(H11Protocol):
    """Uvicorn's HTTP, but for clients that open a connection and send nothing, or a head byte by byte."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


def make_server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """A server; its ``run`` serves until the process is told to end, and finishes running requests first."""
    logging.getLogger("uvicorn.error").addFilter(_not_a_defect)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        access_log=False,  # the service's own line names routes, not what somebody asked for
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=30,
        log_level="warning",
    )
    return uvicorn.Server(config)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens, for the server's ``run``.

    Raises:
        InputError: the address is none of this machine, or something else listens there.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else "no such host"
        raise InputError(f"{host}, port {port}: cannot listen ({reason}); choose another --host or --port") from None


def _not_a_defect(record: logging.LogRecord) -> bool:
    """Leave out uvicorn's traceback of a defect: its text may quote a request. The service logs where it arose."""
    return record.exc_info is None
