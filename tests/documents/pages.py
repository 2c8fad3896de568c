"""The pages that people read, and what stands in them."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").glob("*.md"))]

_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)|\bsrc=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def name(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a language, without the indent of the list that they stand in."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [re.sub(rf"^{each[1]}", "", each[3], flags=re.MULTILINE) for each in found if each[2] == language]


def links(page: Path) -> Iterator[str]:
    """Where the page's links and pictures lead, but for other hosts."""
    prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for found in _LINK.finditer(prose):
        target = found[1] or found[2]
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """What may stand behind the ``#`` of a link to the page."""
    text = page.read_text(encoding="utf-8")
    taken_in = re.search(r"<!-- page: (\S+) -->", text)
    prose = _BLOCK.sub("", (ROOT / taken_in[1]).read_text(encoding="utf-8") if taken_in else text)
    return {_slug(heading) for heading in _HEADING.findall(prose)}


def commands(page: Path) -> Iterator[list[str]]:
    """Every ``boneage-roi`` command line of the page's shell blocks and of its text, in words."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text))
    for line in lines:
        found = re.search(r"(?:^|\s)boneage-roi\s+(.*)", line.split(" #")[0].split(" > ")[0])
        if found:
            yield found[1].split()


def _slug(heading: str) -> str:
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading)
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip())
