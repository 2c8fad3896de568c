"""The application: routes of the page and of the REST interface, version 1."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from boneage_roi import __version__
from boneage_roi.ages import parse_age
from boneage_roi.growth import GROWTH_TABLES, growth_table
from boneage_roi.growth.atlas import MISSING, STANDARDS, nearest_standard
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.service.accept import choose
from boneage_roi.service.answers import ANSWERS
from boneage_roi.service.body import Intake, Submission
from boneage_roi.service.describe import describe, reading_operation
from boneage_roi.service.explaining import explanation_json
from boneage_roi.service.guards import Guard
from boneage_roi.service.metrics import MEDIA_TYPE, Metrics
from boneage_roi.service.options import Options, parse_options
from boneage_roi.service.pages import static_routes
from boneage_roi.service.pool import Pool
from boneage_roi.service.problems import Problem, install
from boneage_roi.service.reading import UPLOAD, analyse, read
from boneage_roi.service.record import extras
from boneage_roi.service.settings import Settings
from boneage_roi.service.views import box_entry, region_colours
from boneage_roi.values import parse_sex

T = TypeVar("T")


class Service:
    """What the routes share: the reader, the pools, the limits, the counters."""

    def __init__(self, reader: BoneAgeReader, settings: Settings) -> None:
        self.reader = reader
        self.settings = settings
        self.intake = Intake(settings)
        self.readings = Pool(settings.workers, settings.queue, settings.read_seconds)
        # Explanations take seconds: a line of their own keeps readings from waiting behind them.
        self.explanations = Pool(1, max(2, settings.queue // 4), settings.explain_seconds)
        self.metrics = Metrics({"readings": self.readings, "explanations": self.explanations})

    async def work(self, request: Request, job: Callable[[Submission, Options], T], pool: Pool | None = None) -> T:
        """Receive a request's file and options, and run a job on them when it is its turn."""
        async with self.intake.receive(request) as submission:
            options = parse_options(submission.fields)
            client = request.client.host if request.client else ""
            return await (pool or self.readings).run(client, lambda: job(submission, options))

    def close(self) -> None:
        """Finish what runs."""
        self.readings.close()
        self.explanations.close()


def create_app(reader: BoneAgeReader, settings: Settings | None = None) -> FastAPI:
    """The ASGI application.

    Args:
        reader: an open bundle; it may be shared.
        settings: None takes the defaults.

    Example::

        app = create_app(load())
    """
    service = Service(reader, settings or Settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="boneage-roi",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    install(app)
    app.include_router(_health(service))
    app.include_router(_rest(service))
    app.include_router(static_routes())
    describe(app)
    app.add_middleware(Guard, token=service.settings.token, metrics=service.metrics)
    return app


def _health(service: Service) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="The service is alive")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="The service takes readings now")
    async def ready() -> dict[str, str]:
        if service.readings.waiting >= service.settings.queue:
            raise Problem(503, "too many readings wait; try again in a moment", headers={"Retry-After": "2"})
        return {"status": "ok", "bundle": service.reader.bundle.manifest.name}

    @router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=MEDIA_TYPE)

    return router


def _rest(service: Service) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["version 1"])
    reader = service.reader

    @router.get("/bundle", summary="The bundle that reads, and how it was measured")
    async def bundle() -> dict[str, Any]:
        manifest = reader.bundle.manifest.model_dump(mode="json", exclude={"files"})
        about = {"fingerprint": reader.bundle.fingerprint, "service_version": __version__, "colours": region_colours()}
        return manifest | about

    @router.get("/growth", summary="The table of bone age by chronological age and sex")
    async def growth() -> dict[str, Any]:
        table = growth_table(next(iter(GROWTH_TABLES)))
        rows = {sex: [[row.chronological_age, row.mean, row.sd] for row in rows] for sex, rows in table.rows.items()}
        return {"table": table.name, "title": table.title, "source": table.source, "rows": rows}

    @router.get("/atlas", summary="The atlas's mean hands: which there are")
    async def atlas() -> dict[str, Any]:
        standards = [
            {"sex": one.sex, "months": one.months, "hands": one.hands, "mean_bone_age": one.mean_bone_age}
            for one in STANDARDS
        ]
        return {"standards": standards, "missing": [{"sex": sex, "months": months} for sex, months in MISSING]}

    @router.get("/atlas/standard", summary="The mean hand nearest to a bone age, as WebP", response_class=Response)
    async def standard(sex: str, age: str) -> Response:
        nearest = nearest_standard(parse_age(age[:40]), parse_sex(sex[:40]) or "F")  # "" is refused
        headers = {"Cache-Control": "private, max-age=86400"}
        return Response(nearest.webp, media_type="image/webp", headers=headers)

    @router.post("/readings", **reading_operation("Read the bone age of one radiograph", tuple(ANSWERS)))
    async def readings(request: Request) -> Response:
        answer = ANSWERS[choose(request.headers.get("accept", ""), tuple(ANSWERS))]

        def job(submission: Submission, options: Options) -> Response:
            outcome = read(reader, submission, options)
            service.metrics.readings.labels(outcome.status).inc()
            if outcome.rejected:
                more = {"reasons": list(outcome.rejected)} | extras(reader, outcome, options)
                return Problem(422, outcome.message, "rejected", more=more).response()
            return answer(reader, submission, outcome, options)

        return await service.work(request, job)

    @router.post("/explanations", **reading_operation("Why a bone age is what it is: maps over the hand, or parts"))
    async def explanations(request: Request) -> Response:
        def job(submission: Submission, options: Options) -> Response:
            return JSONResponse(explanation_json(reader, submission, options))

        return await service.work(request, job, service.explanations)

    @router.post("/regions", **reading_operation("Find the hand and its regions; no bone age is read"))
    async def regions(request: Request) -> Response:
        def job(submission: Submission, options: Options) -> Response:
            analysis = analyse(reader, submission, options)
            verdict = reader.assess(analysis)
            content = {
                "rejections": list(verdict.rejections),
                "flags": list(verdict.warnings),
                "boxes": [box_entry(analysis, box) for box in analysis.boxes],
            }
            return JSONResponse(content | extras(reader, Outcome(UPLOAD, analysis), options))

        return await service.work(request, job)

    return router
