"""One image to work on, and what is known of it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from boneage_roi.ages import checked_age, checked_height, parse_age, parse_date
from boneage_roi.ages import chronological_age as age_on
from boneage_roi.errors import InputError
from boneage_roi.pipeline.storage import Place
from boneage_roi.values import Sex, parse_sex


@dataclass(frozen=True)
class Item:
    """One image to work on, or an input that is none.

    Attributes:
        path: the image, as relative as the input was given.
        sex: what a manifest says, or None.
        chronological_age: months, or None.
        native_size: (width, height) pixels before the image was squashed, or None.
        birth_date, study_date: give the chronological age, or None.
        height_cm: standing height on the day of the radiograph, or None.
        patient: what tells one child from another, or None.
        error: why this input cannot be used; empty when it can.
        place: where its bytes are, when ``path`` is no file of this machine.
    """

    path: str
    sex: Sex | None = None
    chronological_age: float | None = None
    native_size: tuple[int, int] | None = None
    birth_date: date | None = field(default=None, repr=False)
    study_date: date | None = None
    height_cm: float | None = None
    patient: str | None = field(default=None, repr=False)
    error: str = ""
    place: Place | None = None


def filler(
    *,
    sex: str | None = None,
    chronological_age: str | float | None = None,
    birth_date: str | date | None = None,
    study_date: str | date | None = None,
    height_cm: float | None = None,
) -> Callable[[Iterable[Item]], list[Item]]:
    """A function that gives items what their manifests do not say; it goes before what a DICOM file says.

    Args:
        sex: M, F, male or female.
        chronological_age: months, or an age such as ``10y4m``.
        birth_date, study_date: as ``2014-03-09``; another way to say the chronological age.
        height_cm: standing height.

    Raises:
        InputError: one of them is none, or the age is given twice.

    >>> items = filler(chronological_age="10y")([Item("a.png"), Item("b.png", chronological_age=90)])
    >>> [item.chronological_age for item in items]
    [120.0, 90]
    """
    known = parse_sex(sex)
    age = parse_age(chronological_age) if isinstance(chronological_age, str) else chronological_age
    born, seen = (parse_date(day) if isinstance(day, str) else day for day in (birth_date, study_date))
    if age is not None:
        checked_age(age, "chronological age")
    if age is not None and born is not None:
        raise InputError("chronological age and birth date: give one of them")
    if born is not None and seen is not None:
        age_on(born, seen)
    if height_cm is not None:
        checked_height(height_cm)

    def fill(item: Item) -> Item:
        aged = item.chronological_age is not None or item.birth_date is not None
        return Item(  # `replace` takes three times as long
            item.path,
            item.sex or known,
            item.chronological_age if aged else age,
            item.native_size,
            item.birth_date if aged else born,
            item.study_date or seen,
            height_cm if item.height_cm is None else item.height_cm,
            item.patient,
            item.error,
            item.place,
        )

    told = (known, age, born, seen, height_cm) != (None,) * 5
    return lambda items: [fill(item) for item in items] if told else list(items)


def described(item: Item, facts: bytes | None) -> Item:
    """An item with what a JSON object says of it, in the words of a manifest's columns."""
    if facts is None:
        return item
    try:
        said = json.loads(facts)
        told: dict[str, Any] = {name: said[name] for name in ("sex", "birth_date", "study_date") if said.get(name)}
        told |= {name: float(said[name]) for name in ("chronological_age", "height_cm") if said.get(name) is not None}
        width, height = int(said.get("width") or 0), int(said.get("height") or 0)
        patient = said.get("patient")
        (filled,) = filler(**told)([item])
    except (ValueError, TypeError, AttributeError, InputError, RecursionError) as error:
        said_so = str(error) if isinstance(error, InputError) else "it is no JSON object of such values"
        return replace(item, error=f"{item.path}: what its JSON file says is wrong: {said_so}")
    size = (width, height) if width > 0 and height > 0 else None
    return replace(filled, native_size=size, patient=None if patient is None else str(patient))
