"""What every request passes: the token, headers of the answer, counting, the log."""

import hmac
import logging
import time
from collections.abc import Mapping

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boneage_roi.service.metrics import Metrics
from boneage_roi.service.problems import Problem

log = logging.getLogger("boneage_roi.service")

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; "
        "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer; one that sets its own keeps it."""

REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox"
"""Content security policy of a report, which carries its own style and pictures, and runs nothing."""


class Guard:
    """Sees each request come and go.

    Other sites may not use the service through somebody's browser: a request that a browser marks as coming from
    another site is refused, and no answer allows one (no CORS).
    """

    def __init__(self, app: ASGIApp, token: str | None, metrics: Metrics) -> None:
        self._app = app
        self._token = token.encode() if token else None
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), [500]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                added = ((name.lower().encode(), value.encode()) for name, value in HEADERS.items())
                message["headers"] = [*message["headers"], *(pair for pair in added if pair[0] not in present)]
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (refusal.response() if refusal else self._app)(scope, receive, send_with_headers)
        finally:
            self._count(scope, status[0], time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> Problem | None:
        path = scope["path"]
        if not (path.startswith("/v1/") or path == "/metrics"):
            return None
        headers = Request(scope).headers
        if headers.get("sec-fetch-site", "").lower() == "cross-site":
            return Problem(403, "requests from other sites are not served")
        if self._token is None:
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
        if kind.lower() == "bearer" and right:
            return None
        return Problem(
            401, "send the service's token: Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"}
        )

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        """Only what the service itself wrote is named: the route, not the path that somebody asked for."""
        route = getattr(scope.get("route"), "path", None) or "other"
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        log.info("%s %s %d %.3f s", method, route, status, seconds)
