"""The note beside each file of a share or of parts: which rows of the whole it holds, and what made them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from boneage_roi.errors import InputError
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.pipeline.shards import Share

MOST = 10**8
"""Inputs of a list; a longer one is none."""


@dataclass(frozen=True)
class ShareFile:
    """What a note says of its file.

    Attributes:
        file: its name.
        sha256: of its content.
        made_by: bundle, options and version that made the rows.
        shard, shards: share 0, 1, ... of so many.
        listed, listing: length of the whole list of inputs, and the hash of its paths.
        steps: where the rows stand in that list: the first, and how far each next one is from the one before.
    """

    file: str
    sha256: str
    made_by: str
    shard: int
    shards: int
    listed: int
    listing: str
    steps: tuple[int, ...]

    @property
    def is_plausible(self) -> bool:
        """Whether every field is of its kind, and no list longer than any archive: a note may come from anywhere."""
        texts = all(isinstance(text, str) for text in (self.file, self.sha256, self.made_by, self.listing))
        return texts and all(type(n) is int and 0 <= n <= MOST for n in (self.shard, self.shards, self.listed))

    @property
    def positions(self) -> list[int]:
        """Where the rows stand in the whole list."""
        place, places = 0, []
        for step in self.steps:
            place += step
            places.append(place)
        return places


def note_of(path: Path) -> Path:
    """Where the note of a file is; programs that read folders of Parquet pass over names that begin so."""
    return path.with_name(f"_{path.name}.json")


def write_share_file(path: Path, outputs: OutputFiles, share: Share, made_by: str, positions: Sequence[int]) -> None:
    """Write the note of a complete file.

    Raises:
        InputError: it cannot be written.
    """
    steps = tuple(there - here for here, there in pairwise([0, *positions]))
    digest = _digest(path)
    note = ShareFile(path.name, digest, made_by, share.index, share.count, share.listed, share.listing, steps)
    outputs.write(note_of(path), json.dumps(asdict(note)) + "\n")


def read_share_file(path: Path) -> ShareFile:
    """The note of a file, which must be as it was written.

    Raises:
        InputError: there is no such file, no note, or the file has been changed since.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give what `predict --shard` or `--part-rows` wrote")
    try:
        fields = json.loads(note_of(path).read_text(encoding="utf-8"))
        note = ShareFile(**(fields | {"steps": tuple(map(int, fields["steps"]))}))
        if not note.is_plausible:
            raise ValueError("not what is written")
    except FileNotFoundError:
        raise InputError(f"{path}: {note_of(path).name} is not beside it; copy both") from None
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise InputError(f"{note_of(path)}: is damaged; run that share again") from None
    if _digest(path) != note.sha256:
        raise InputError(f"{path}: has been changed or copied in part; copy it again, or run that share again")
    return note


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
