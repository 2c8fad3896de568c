"""The report's text in five languages: one JSON file a language, the same keys in each."""

import json
import re
from functools import cache
from pathlib import Path

from boneage_roi.errors import InputError

FOLDER = Path(__file__).parent / "languages"
LANGUAGES = ("en", "de", "zh", "ko", "es")
DECIMAL_COMMA = ("de", "es")

_FLAGS = (
    (r"sex unknown: (?P<f>\d+) months if female, (?P<m>\d+) if male", "sex"),
    (r"(?P<n>\d+) of 5 digits found", "digits"),
    (r"(?P<n>\d+) of 16 growth plates found", "plates"),
    (r"hand too small: (?P<n>\d+) pixels.*", "small"),
    (r"cut off below the wrist", "forearm"),
    (r"hand cut off at the image's edge", "edge"),
    (r"hand too dark or too pale.*", "contrast"),
    (r"over- or underexposed: (?P<n>[\d.]+)%.*", "clipped"),
    (r"noisy: noise of (?P<n>[\d.]+)%.*", "noise"),
    (r"compressed too much.*", "blocks"),
    (r"(?:contrast enhanced|histogram equalised).*", "enhanced"),
    (r"regions disagree \(standard deviation (?P<n>[\d.]+) months\)", "disagree"),
    (r"(?:nearly or fully|skeletally) mature.*", "mature"),
    (r"inverted", "inverted"),
    (r"chronological age of (?P<n>[\d.]+) months: is it in years\?", "years"),
    (r".*: aspect ratio restored", "aspect"),
    (r"(?P<region>[a-z-]+) not found", "notfound"),
)
"""What a flag is in English, and its key."""


class Words:
    """Messages of one language.

    Args:
        language: one of :data:`LANGUAGES`.

    Raises:
        InputError: there is no such language.

    Example:
        >>> words = Words("de")
        >>> words("months", n=words.number(124.5)), words.age(124)
        ('124,5 Monate', '10 J 4 M')
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise InputError(f"language {language!r}: there is {', '.join(LANGUAGES)}")
        self.language = language
        self._messages = messages(language)

    def __call__(self, key: str, **values: object) -> str:
        """A message with its values."""
        return self._messages[key].format(**values)

    def number(self, value: float, digits: int = 1, *, signed: bool = False) -> str:
        """A number as the language writes it, with a true minus."""
        text = f"{value:{'+' if signed else ''}.{digits}f}".replace("-", "\N{MINUS SIGN}")
        return text.replace(".", ",") if self.language in DECIMAL_COMMA else text

    def age(self, months: float) -> str:
        """Years and months."""
        years, rest = divmod(round(months), 12)
        return self("age.words", y=years, m=rest)

    def bone(self, name: str) -> str:
        """A bone's name; growth plates of digits keep theirs.

        >>> Words("de").bone("digit2"), Words("de").bone("MCP2")
        ('Finger 2', 'MCP2')
        """
        if name.startswith("digit"):
            return self("bone.digit", n=name.removeprefix("digit"))
        return self._messages.get(f"bone.{name}", name)

    def flag(self, text: str) -> str:
        """A quality flag; one that has no translation stays as it is."""
        for pattern, key in _FLAGS:
            match = re.fullmatch(pattern, text)
            if match:
                values = match.groupdict()
                if "region" in values and f"region.{values['region']}" not in self._messages:
                    break
                if "region" in values:
                    values["region"] = self(f"region.{values['region']}")
                if key == "sex":
                    values = {sex: self.age(float(months)) for sex, months in values.items()}
                return self(f"flag.{key}", **values)
        return text


@cache
def messages(language: str) -> dict[str, str]:
    """Every message of a language by its key."""
    content: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return content
