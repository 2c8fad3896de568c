"""How a service bears load: one client alone, two that pause (light load), then many at once; its memory over time.

    boneage-roi serve --port 8000 &
    uv run --extra serve python benchmarks/load.py http://127.0.0.1:8000 --clients 16 --seconds 120 --pid $!

Each client sends the examples one after another; on 429 it waits as long as Retry-After says. Under light load two
people look at each answer for four seconds on average (exponential) before they send the next. Prints how many answers
of each status there were, the time of readings (median and 95th percentile), how many times the warm time (the median
of one client alone) the 95th percentile of light load is, and the resident memory of the process at the start, in the
middle and at the end. Ends with 1 when an answer was neither 200 nor 429.

    uv run --extra serve python benchmarks/load.py http://127.0.0.1:8000 --clients 4 --count 2000 --pid $!

With ``--count`` the clients send so many readings together, and the memory is printed ten times on the way.
"""

import argparse
import math
import random
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from statistics import quantiles

PARTS = 10
"""How often the memory is printed while many readings are done."""

PAUSE = 4.0
"""Seconds between an answer and the next image of one person, on average, under light load."""

EXAMPLES = Path(__file__).parents[1] / "examples"


class Clients:
    """Clients that read until a moment, or until there are so many readings, each in a thread."""

    def __init__(self, url: str, until: float, count: float = math.inf, pause: float = 0.0) -> None:
        self._url, self._until, self._count, self._pause = url, until, count, pause
        self._images = [path.read_bytes() for path in sorted(EXAMPLES.glob("*-*y*.png"))]
        self._lock = threading.Lock()
        self.statuses: Counter[str] = Counter()
        self.seconds: list[float] = []

    def run(self, count: int) -> None:
        threads = [threading.Thread(target=self._read, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _read(self, number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < self._until and self.statuses["200"] < self._count:
            began = time.monotonic()
            status, pause = self._post(self._images[number % len(self._images)])
            with self._lock:
                self.statuses[status] += 1
                if status == "200":
                    self.seconds.append(time.monotonic() - began)
            number += 1
            time.sleep(pause + (chance.expovariate(1 / self._pause) if self._pause else 0.0))

    def _post(self, image: bytes) -> tuple[str, float]:
        heads = {"Content-Type": "image/png"}
        request = urllib.request.Request(f"{self._url}/v1/readings?sex=F", image, heads, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                answer.read()
                return str(answer.status), 0.0
        except urllib.error.HTTPError as error:
            return str(error.code), float(error.headers.get("Retry-After", 0))
        except OSError as error:
            return type(error).__name__, 1.0


def resident(pid: int | None) -> str:
    """Memory of a process, MB."""
    if pid is None:
        return "-"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(f"{int(line.split()[1]) // 1024} MB" for line in lines if line.startswith("VmRSS"))


def report(name: str, clients: Clients) -> tuple[float, float]:
    """Print statuses and times; gives the median and the 95th percentile, seconds."""
    times = clients.seconds
    shown, middle, most = "no reading", math.nan, math.nan
    if len(times) > 1:
        cuts = quantiles(times, n=20, method="inclusive")
        middle, most = cuts[9], cuts[18]
        shown = f"median {middle:.2f} s, 95th percentile {most:.2f} s"
    print(f"{name}: {dict(clients.statuses)}; {shown}", flush=True)
    return middle, most


def many_readings(url: str, clients: int, count: int, pid: int | None) -> int:
    """The memory over many readings."""
    seen: set[str] = set()
    done = 0
    print(f"0 readings: memory {resident(pid)}", flush=True)
    for part in range(1, PARTS + 1):
        many = Clients(url, math.inf, count * part // PARTS - done)
        many.run(clients)
        done += many.statuses["200"]
        seen |= set(many.statuses)
        print(f"{done} readings: memory {resident(pid)}", flush=True)
        if seen - {"200", "429"}:
            break
    return 0 if seen <= {"200", "429"} else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument(
        "--seconds", type=float, default=120, help="of the load; before, a quarter of it for one client, half for two"
    )
    parser.add_argument("--pid", type=int, help="process of the service, for its memory")
    parser.add_argument("--count", type=int, help="readings in all, instead of seconds")
    options = parser.parse_args()
    if options.count:
        return many_readings(options.url, options.clients, options.count, options.pid)
    Clients(options.url, math.inf, 2).run(1)  # warm
    seen: set[str] = set()
    times = []
    for count, name, pause in ((1, "1 client", 0.0), (2, "2 clients that pause, light load", PAUSE)):
        few = Clients(options.url, time.monotonic() + options.seconds / (2 if pause else 4), pause=pause)
        few.run(count)
        times.append(report(name, few))
        seen |= set(few.statuses)
    print(f"95th percentile of light load: {times[1][1] / times[0][0]:.2f} times the warm time", flush=True)
    before = resident(options.pid)
    for half in ("first half", "second half"):
        many = Clients(options.url, time.monotonic() + options.seconds / 2)
        many.run(options.clients)
        report(f"{options.clients} clients, {half}", many)
        print(f"memory: {before} -> {resident(options.pid)}", flush=True)
        seen |= set(many.statuses)
    return 0 if seen <= {"200", "429"} else 1


if __name__ == "__main__":
    sys.exit(main())
