"""What OpenAPI says of the routes whose bodies are read by hand."""

from typing import Any

from fastapi import FastAPI

from boneage_roi.service.body import RAW_TYPES
from boneage_roi.service.options import FIELDS

PROBLEMS = {
    401: "the token is missing or wrong",
    406: "there is no such form of an answer",
    403: "the request came from another site",
    408: "the body took too long to come",
    413: "the body is too long",
    415: "the body is of a type that is not read",
    422: "the image cannot be read, must not get a bone age (`reasons` says why), or a field is wrong",
    429: "too many readings wait; Retry-After says when to try again",
    503: "the reading took too long",
}

_FILE = {"type": "string", "format": "binary"}


def reading_operation(summary: str, media_types: tuple[str, ...] = ("application/json",)) -> dict[str, Any]:
    """Arguments of a route that takes one radiograph."""
    fields = {name: {"type": "string", "description": text} for name, text in FIELDS.items()}
    form = {"type": "object", "properties": {"file": _FILE | {"description": "the radiograph"}} | fields}
    raw = {kind: {"schema": _FILE} for kind in ("image/*", *RAW_TYPES)}
    body = {
        "required": True,
        "content": {"multipart/form-data": {"schema": form | {"required": ["file"]}}} | raw,
    }
    query = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": f"{text}. Of a raw body; in a form it is a part",
            "schema": {"type": "string"},
        }
        for name, text in FIELDS.items()
    ]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers: dict[str, Any] = {"200": {"description": "done", "content": {kind: {} for kind in media_types}}}
    answers |= {str(status): {"description": text, "content": problem} for status, text in PROBLEMS.items()}
    return {
        "summary": summary,
        "openapi_extra": {"requestBody": body, "parameters": query, "responses": answers},
    }


def describe(app: FastAPI) -> None:
    """Complete the application's OpenAPI document."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = {
                "type": "object",
                "description": "problem details (RFC 9457)",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string", "description": "one line: what is wrong, and what to do"},
                    "reasons": {"type": "array", "items": {"type": "string"}},
                },
            }
            document["info"]["description"] = (
                "Bone age from a hand radiograph, region by region. For research, not a medical device. "
                "Ages are months. Nothing is kept after the answer."
            )
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
