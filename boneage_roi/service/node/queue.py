"""A queue on the disk: what was taken in is read and sent, also when the program is killed at any moment.

A radiograph lies in ``received/STUDY/`` until its answer lies whole in ``answers/``; an answer's objects lie there
until each was sent; then its name is in ``done/``. Names are hashes of UIDs: no path tells whose image it is.

Every step writes a file whole, and syncs it, before the one that it replaces is removed: a kill repeats a step at most.
A step that is repeated makes the same objects with the same UIDs, of which an archive keeps one.
"""

import fcntl
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from boneage_roi.errors import InputError
from boneage_roi.files import replace_folder, sync_folder, write_atomically, writing

SUFFIX = ".dcm"


@dataclass(frozen=True)
class Answer:
    """The objects of one radiograph that wait to be sent."""

    name: str
    objects: tuple[Path, ...]


class Queue:
    """The queue in a folder, which it makes; nobody else may use the folder meanwhile.

    Raises:
        InputError: it cannot be written, another program uses it, or it holds what no queue put there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._received, self._answers, self._done = (folder / name for name in ("received", "answers", "done"))
        self._failed = folder / "failed"
        with writing(folder):
            if folder.is_dir() and not self._done.is_dir() and any(folder.iterdir()):
                raise InputError(f"{folder}: holds other files; give the queue a folder of its own")
            for place in (self._done, self._received, self._answers, self._failed):
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (folder / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{folder}: another program uses this queue; give each a folder of its own") from None

    def take(self, study: str, instance: str, content: bytes) -> bool:
        """Put a radiograph on the disk; it is there when this returns. False when it was answered before.

        Args:
            study, instance: its UIDs.
        """
        name = _name(instance)
        if (self._done / name).exists() or (self._answers / name).exists():
            return False
        write_atomically(self._received / _name(study) / (name + SUFFIX), content)
        return True

    def knows(self, study: str, instance: str) -> bool:
        """Whether a radiograph waits here, or was done with."""
        name = _name(instance)
        received = self._received / _name(study) / (name + SUFFIX)
        places = (self._done / name, self._answers / name, received, self._failed / (name + SUFFIX))
        return any(place.exists() for place in places)

    def leave(self, instance: str) -> None:
        """Be done with an instance that was looked at and is not read."""
        self._finish(_name(instance))

    @property
    def waiting(self) -> int:
        """How many radiographs wait to be read."""
        return sum(len(list(study.glob(f"*{SUFFIX}"))) for study in self._received.iterdir())

    def complete(self, quiet: float) -> Iterator[Path]:
        """Radiographs of studies to which nothing came for so many seconds, the oldest study first."""
        ready = []
        for study in self._received.iterdir():
            files = sorted(study.glob(f"*{SUFFIX}"))
            for path in files:
                if (self._done / path.stem).exists():  # killed between the two
                    path.unlink(missing_ok=True)
            files = [path for path in files if path.exists()]
            if not files:
                if time.time() - study.stat().st_mtime > 3600:
                    study.rmdir()
                continue
            latest = max(path.stat().st_mtime for path in files)
            if time.time() - latest >= quiet:
                ready.append((latest, files))
        for _, files in sorted(ready):
            yield from files

    def answer(self, received: Path, objects: Sequence[tuple[str, bytes]]) -> None:
        """Replace a radiograph by its answer: objects by name. Without any there is nothing to send."""
        name = received.stem
        if objects:
            with replace_folder(self._answers / name) as building:
                for kind, content in objects:
                    (building / (kind + SUFFIX)).write_bytes(content)
        else:
            self._finish(name)
        received.unlink(missing_ok=True)
        sync_folder(received.parent)

    def fail(self, received: Path) -> None:
        """Set a radiograph aside that made the program fail: it is kept for whoever looks into it."""
        received.replace(self._failed / received.name)
        sync_folder(self._failed)

    def answers(self) -> list[Answer]:
        """What waits to be sent, the oldest first."""
        folders = [place for place in self._answers.iterdir() if place.is_dir() and not place.name.startswith(".")]
        folders.sort(key=lambda place: place.stat().st_mtime)
        found = [Answer(place.name, tuple(sorted(place.glob(f"*{SUFFIX}")))) for place in folders]
        for answer in found:
            if not answer.objects:  # killed after the last one was sent
                (self._answers / answer.name).rmdir()
        return [answer for answer in found if answer.objects]

    def sent(self, answer: Answer, sent: Path) -> None:
        """Take an object off that the receiver has; with the last one the answer is done."""
        place = self._answers / answer.name
        left = [path for path in place.glob(f"*{SUFFIX}") if path != sent]
        if not left:
            self._finish(answer.name)
        sent.unlink(missing_ok=True)
        sync_folder(place)
        if not left:
            place.rmdir()

    def _finish(self, name: str) -> None:
        (self._done / name).touch()
        sync_folder(self._done)

    def forget(self, days: float) -> None:
        """Forget what was done so many days ago: a radiograph that comes again is read again."""
        for path in self._done.iterdir():
            if time.time() - path.stat().st_mtime > days * 86400:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others use the folder."""
        self._lock.close()


def _name(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:32]
