"""The memory that a command takes at the most, with all processes it starts: its own, and files that it has mapped.

    python benchmarks/memory.py --seconds 600 boneage-roi train-region hand --run runs/default

Mapped files are told apart, for the system takes that memory back when it is short. What processes share is counted
once. Linux alone says so (``smaps_rollup``). The command is ended by Ctrl-C after the seconds.
"""

import argparse
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

OWN, MAPPED = ("Pss_Anon", "Swap"), ("Pss_File", "Pss_Shmem")


def family(process: int) -> list[int]:
    """A process and all that it started."""
    found = [process]
    for place in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found += [one for child in place.read_text().split() for one in family(int(child))]
    return found


def memory(processes: list[int]) -> tuple[float, float]:
    """GB of their own, and GB of mapped files."""
    sums: dict[str, float] = {}
    for process in processes:
        with suppress(OSError):  # it has ended
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]:
                name, size, *_ = line.split()
                sums[name.strip(":")] = sums.get(name.strip(":"), 0) + int(size) * 1024 / 1e9
    own, mapped = (sum(sums.get(name, 0) for name in names) for names in (OWN, MAPPED))
    return own, mapped


def watch(command: list[str], seconds: float) -> None:
    """Run a command for so long, and print what it took."""
    began = time.monotonic()
    process = subprocess.Popen(command)
    peaks, most = (0.0, 0.0), 0.0
    told = began
    try:
        while process.poll() is None and time.monotonic() - began < seconds:
            own, mapped = memory(family(process.pid))
            peaks, most = (max(peaks[0], own), max(peaks[1], mapped)), max(most, own + mapped)
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(f"{told - began:5.0f} s  own {own:.2f} GB, mapped files {mapped:.2f} GB", flush=True)
            time.sleep(0.5)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait()
    print(f"most: own {peaks[0]:.2f} GB, mapped files {peaks[1]:.2f} GB, together {most:.2f} GB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="after so many the command is ended")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if not given.command:
        parser.error("no command")
    watch(given.command, given.seconds)


if __name__ == "__main__":
    from script import run_script

    run_script(main)
