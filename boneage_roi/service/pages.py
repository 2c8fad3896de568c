"""The page's files: read once, served by their names, none from anywhere else."""

from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, Request, Response

from boneage_roi.service.problems import Problem

STATIC = Path(__file__).parent / "static"

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}

PAGES = {"/": "index.html", "/docs": "docs.html"}


def static_routes() -> APIRouter:
    """Routes of the page, of the API's documentation, and of what the two use."""
    router = APIRouter(include_in_schema=False)
    files = {
        path.relative_to(STATIC).as_posix(): (path.read_bytes(), MEDIA_TYPES[path.suffix])
        for path in sorted(STATIC.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }
    for route, name in PAGES.items():
        router.add_api_route(route, _page(*files[name]), methods=["GET", "HEAD"])

    @router.get("/static/{name:path}")
    async def static(name: str) -> Response:
        if name not in files:
            raise Problem(404, "there is no such file")
        content, kind = files[name]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return router


def _page(content: bytes, kind: str) -> Callable[[Request], Response]:
    def page(request: Request) -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return page
