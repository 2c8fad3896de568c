"""Commands that serve: the page with REST."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.cli.common import app, examples
from boneage_roi.errors import InputError


@app.command(
    epilog=examples(
        "serve",
        "serve --host 0.0.0.0 --port 8080 --token SECRET",
        "serve --workers 4 --threads 2 --max-upload 128",
    )
)
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Hands that are read at the same time.")] = 2,
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="Threads of each network; default: the cores shared out.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="BONEAGE_TOKEN", show_envvar=True, help="What clients must send as a bearer token."),
    ] = None,
    max_upload: Annotated[int, typer.Option(min=1, max=512, metavar="MB", help="Longest body of a request.")] = 64,
    queue: Annotated[int, typer.Option(min=1, max=10_000, help="Readings that may wait; more get 429.")] = 32,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="DIR", help="Bundle to use instead of the one that comes along.")
    ] = None,
) -> None:
    """Serve a page and a REST interface: drop a radiograph, get the finding.

    Nothing that is sent is kept. Without --host only programs on this computer reach it.
    """
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        if find_spec(package) is None:
            raise InputError(f"the service needs {package}: pip install 'boneage-roi[serve]'")
    import logging

    from boneage_roi.pipeline.reader import BoneAgeReader
    from boneage_roi.service.app import create_app
    from boneage_roi.service.server import make_server
    from boneage_roi.service.settings import Settings

    if token is not None and len(token) < 8:
        raise InputError("--token: give at least 8 characters")
    settings = Settings(
        host=host,
        port=port,
        token=token,
        workers=workers,
        threads=threads,
        max_upload=max_upload * 2**20,
        queue=queue,
        bundle=bundle,
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    reader = BoneAgeReader(bundle, threads=settings.network_threads)
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{port}  (Ctrl-C ends it)", flush=True)
    if token is None and host not in ("127.0.0.1", "::1", "localhost"):
        print("no --token: everyone who reaches this address can use it", flush=True)
    make_server(create_app(reader, settings), settings).run()
