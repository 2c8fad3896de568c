"""Crops that lie in a file and are mapped into memory: processes share them, and no process holds them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from boneage_roi.regional_models.crops import Crops
from boneage_roi.regional_models.dataset import RegionSample
from boneage_roi.values import FloatArray


@dataclass(frozen=True, eq=False)
class _Row:
    """A sample but for its pixels: these are ``count`` crops from ``first`` on, then as many of a bad export."""

    first: int
    count: int
    twice: bool
    places: FloatArray
    confidence: float
    boneage: float
    male: float


class MappedSamples(Sequence[RegionSample]):
    """Samples whose crops, all of one size, are written into a file; only their ages and places stay in memory.

    The file is mapped when a sample is asked for, in every process anew. What the system has read of it once it keeps
    for all of them as long as memory allows.

    Args:
        path: of the file; it is made, or made anew.
        samples: to be written.
    """

    def __init__(self, path: Path, samples: Iterable[RegionSample]) -> None:
        self._path = path
        self._rows: list[_Row] = []
        self._size: tuple[int, ...] = ()
        self._map: NDArray[np.uint8] | None = None
        first = 0
        with path.open("wb") as file:
            for sample in samples:
                crops, twice = sample.crops, sample.bad_export is not None
                self._size = crops.pixels.shape[1:]
                parts = [crops, sample.bad_export] if sample.bad_export is not None else [crops]
                for part in parts:
                    file.write(np.ascontiguousarray(part.pixels).tobytes())
                count = len(crops.pixels)
                row = _Row(first, count, twice, crops.places, crops.confidence, sample.boneage, sample.male)
                self._rows.append(row)
                first += count * len(parts)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> RegionSample: ...

    @overload
    def __getitem__(self, index: slice) -> list[RegionSample]: ...

    def __getitem__(self, index: int | slice) -> RegionSample | list[RegionSample]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        row = self._rows[index]
        whole = self._crops(row, row.first)
        bad_export = self._crops(row, row.first + row.count) if row.twice else None
        return RegionSample(whole, row.boneage, row.male, bad_export)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_map": None}

    def _crops(self, row: _Row, first: int) -> Crops:
        if self._map is None:
            self._map = np.asarray(np.memmap(self._path, np.uint8, "r")).reshape(-1, *self._size)
        return Crops(self._map[first : first + row.count], row.places, row.confidence)


@contextmanager
def mapped(path: Path, samples: Iterable[RegionSample]) -> Iterator[MappedSamples]:
    """Samples in a file that is taken away at the end."""
    try:
        yield MappedSamples(path, samples)
    finally:
        path.unlink(missing_ok=True)
