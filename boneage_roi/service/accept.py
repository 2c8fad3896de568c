"""Which form of an answer a client asks for (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

from boneage_roi.service.problems import Problem


def choose(accept: str, offered: Sequence[str]) -> str:
    """The offered media type that an Accept header likes best; the first offered one where it does not care.

    Raises:
        Problem: 406, it wants none of them.

    >>> choose("application/pdf, application/json;q=0.5", ["application/json", "application/pdf"])
    'application/pdf'
    """
    wishes = [_wish(part) for part in accept[:1000].split(",") if part.strip()] or [("*/*", 1.0)]
    likings = {kind: _liking(kind, wishes) for kind in offered}
    best = max(likings, key=lambda kind: likings[kind])
    if likings[best] <= 0:
        raise Problem(406, f"there is {', '.join(offered)}")
    return best


def _wish(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return kind, float(value)
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def _liking(kind: str, wishes: Sequence[tuple[str, float]]) -> float:
    """The quality of the wish that names a media type most exactly."""
    for pattern in (kind, kind.split("/")[0] + "/*", "*/*"):
        found = [quality for wish, quality in wishes if wish == pattern]
        if found:
            return max(found)
    return 0.0
