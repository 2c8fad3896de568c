"""How a service runs, and what it lets in."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How a service runs.

    Attributes:
        host, port: where it listens.
        token: what a request must bring as ``Authorization: Bearer TOKEN``; None lets everyone in.
        workers: how many hands are read at the same time.
        threads: how many a network may use; None shares the cores among the workers.
        max_upload: bytes of one request's body.
        queue: how many readings may wait; one client may fill half of it.
        read_seconds: a reading that takes longer is given up.
        explain_seconds: the same of an explanation.
        body_seconds: a request whose body takes longer to come is given up.
        bundle: its folder; None is the shipped one.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    workers: int = 2
    threads: int | None = None
    max_upload: int = 64 * 2**20
    queue: int = 32
    read_seconds: float = 60.0
    explain_seconds: float = 300.0
    body_seconds: float = 60.0
    bundle: Path | None = None

    @property
    def network_threads(self) -> int:
        """How many threads each network gets."""
        return self.threads or max(1, (os.cpu_count() or 1) // self.workers)

    @property
    def held_bytes(self) -> int:
        """So many bytes of bodies are held at a time, those that are being received included."""
        return 8 * self.max_upload
