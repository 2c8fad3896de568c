"""Files of results that go on where a killed run stopped, as one file or as a folder of parts."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from boneage_roi.errors import InputError
from boneage_roi.files import is_special
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.journal import RecordJournal
from boneage_roi.outputs.records import result_record
from boneage_roi.outputs.results import result_sink
from boneage_roi.outputs.share_files import write_share_file
from boneage_roi.outputs.sink import Sink
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.keys import file_mark, row_key
from boneage_roi.pipeline.shards import Share


@dataclass(frozen=True)
class Part:
    """A file of results, and which of the share's items it holds."""

    path: Path
    first: int
    rows: int


class ResumingSink:
    """The rows of a run, in a file or a folder of parts, each beside a journal of what was read so far.

    What a run leaves when it is killed is used by the next one, if that is told to: every row whose input, bundle,
    options and version are the same. Rows with an error are read again. The files come out the same to the byte.

    Args:
        path: the file; with ``part_rows`` the folder.
        regions: of the bundle.
        outputs: what may be written.
        share: the items.
        made_by: the bundle and how it is used, and where else results go.
        resume: use what an earlier run left.
        part_rows: so many rows a file; None is one file.
    """

    def __init__(
        self,
        path: Path,
        regions: Sequence[str],
        outputs: OutputFiles,
        share: Share,
        made_by: str,
        *,
        resume: bool = False,
        part_rows: int | None = None,
    ) -> None:
        self._regions, self._outputs, self._share, self._made_by = regions, outputs, share, made_by
        self._resume = resume
        self._in_parts = part_rows is not None
        self._labelled = self._in_parts or share.count > 1
        if self._labelled and path.suffix.lower() not in (".csv", ".jsonl", ".parquet"):
            raise InputError(f"{path}: shares and parts end in .csv, .jsonl or .parquet")
        if not self._in_parts:
            result_sink(path, regions, outputs)  # refuse a wrong ending before any work
        elif path.is_file():
            raise InputError(f"{path}: is a file; parts go into a folder, give another name")
        self._parts = deque(_parts(path, len(share.items), part_rows))
        self._names = {part.path.name for part in self._parts}
        self._folder = path
        self._journal = None
        if not is_special(path):
            name = f"{path.name}.journal"
            self._journal = RecordJournal(path / "_journal" if self._in_parts else path.with_name(name))
        self._order: deque[tuple[Item, str, bool]] = deque()
        self._sink: Sink | None = None
        self._made_of = hashlib.sha256()
        self._rows = 0

    @property
    def growing(self) -> Path:
        """Where the rows are that were read so far."""
        return self._folder if self._in_parts else self._folder.with_name(f"{self._folder.name}.partial")

    def missing(self) -> list[Item]:
        """The items whose file is not complete yet; all of them unless the run goes on."""
        if self._resume:
            self._parts = deque(part for part in self._parts if not self._complete(part))
        return [item for part in self._parts for item in self._items(part)]

    def read(self, items: Iterable[Item], engine: Callable[[Iterator[Item]], Iterator[Outcome]]) -> Iterator[Outcome]:
        """One outcome an item, in order: those that an earlier run left as they are, the others from an engine."""
        order = self._order

        def unknown() -> Iterator[Item]:
            for item in items:
                key = self._key(item)
                kept = self._journal is not None and self._journal.get(key) is not None
                order.append((item, key, kept))
                if not kept:
                    yield item

        for outcome in engine(unknown()):
            yield from self._kept()
            _, key, _ = order.popleft()
            yield replace(outcome, key=key)
        yield from self._kept()

    def open(self) -> None:
        """Begin; refuse here what cannot be written."""
        self._begin()
        if self._journal is not None:
            self._outputs.refuse_inputs(self._journal.path)
            self._journal.open(resume=self._resume)

    def write(self, outcome: Outcome) -> None:
        """Add a row."""
        if self._sink is None:
            self._begin()
        assert self._sink is not None
        record = result_record(outcome, self._regions)
        if self._journal is not None and outcome.record is None and outcome.status != "error":
            self._journal.add(outcome.key, record)
        self._sink.write(replace(outcome, record=record))
        self._made_of.update(outcome.key.encode())
        self._rows += 1
        if self._in_parts and self._rows == self._parts[0].rows:
            self._end(True)
            if self._journal is not None and not any(kept for _, _, kept in self._order):
                self._journal.empty()

    def close(self, complete: bool) -> None:
        """Give a complete file its name, and take the journal away."""
        if self._sink is not None:
            self._end(complete)
        if self._journal is not None:
            self._journal.close(remove=complete)
        if complete and self._in_parts:
            self._remove_others()

    def _remove_others(self) -> None:
        """Take away the parts of an earlier run that was longer."""
        for path in self._folder.glob("*part-*"):
            name = path.name.removeprefix("_").removesuffix(".json" if path.name.startswith("_") else "")
            if name not in self._names:
                self._outputs.remove(path)

    def _begin(self) -> None:
        if self._parts:
            self._sink = result_sink(self._parts[0].path, self._regions, self._outputs)
            self._sink.open()
            self._made_of, self._rows = hashlib.sha256(), 0

    def _end(self, complete: bool) -> None:
        sink, self._sink = self._sink, None
        assert sink is not None
        sink.close(complete)
        part = self._parts.popleft()
        if complete:
            if self._labelled:
                span = slice(part.first, part.first + part.rows)
                write_share_file(part.path, self._outputs, self._share, self._made_by, self._share.positions[span])
            self._outputs.seal(part.path, self._made_of.hexdigest())

    def _items(self, part: Part) -> list[Item]:
        return self._share.items[part.first : part.first + part.rows]

    def _complete(self, part: Part) -> bool:
        sealed = self._outputs.sealed(part.path)
        made_of = hashlib.sha256()
        for item in self._items(part) if sealed else ():
            made_of.update(self._key(item).encode())
        return sealed == made_of.hexdigest()

    def _key(self, item: Item) -> str:
        return row_key(item, self._made_by, file_mark(item))

    def _kept(self) -> Iterator[Outcome]:
        while self._order and self._order[0][2]:
            item, key, _ = self._order.popleft()
            record = self._journal.get(key) if self._journal is not None else None
            assert record is not None
            rejected = tuple(record["flags"]) if record["status"] == "rejected" else ()
            yield Outcome(item, message=record["message"] or "", rejected=rejected, key=key, record=record)


def _parts(path: Path, rows: int, part_rows: int | None) -> Iterator[Part]:
    if part_rows is None:
        yield Part(path, 0, rows)
        return
    for number, first in enumerate(range(0, max(rows, 1), part_rows)):
        yield Part(path / f"part-{number:05}{path.suffix.lower()}", first, min(part_rows, rows - first))
