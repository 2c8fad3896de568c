"""Counters for Prometheus: how many, how long, how it ended. Never whose."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from boneage_roi.service.pool import Pool

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60)


class Metrics:
    """What is counted. Labels are routes, methods and statuses: nothing that a client made up."""

    def __init__(self, pools: dict[str, Pool]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "boneage_http_requests", "Requests answered.", ("route", "method", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "boneage_request_seconds", "From request to answer.", ("route",), buckets=SECONDS, registry=self._registry
        )
        self.readings = Counter("boneage_readings", "Images by outcome.", ("outcome",), registry=self._registry)
        waiting = Gauge("boneage_jobs_waiting", "Jobs in the queue.", ("pool",), registry=self._registry)
        running = Gauge("boneage_jobs_running", "Jobs at work.", ("pool",), registry=self._registry)
        for name, pool in pools.items():
            waiting.labels(name).set_function(lambda pool=pool: pool.waiting)  # type: ignore[misc]
            running.labels(name).set_function(lambda pool=pool: pool.running)  # type: ignore[misc]

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return bytes(generate_latest(self._registry))
