"""Commands that serve: the page with REST."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.cli.common import app, examples, given_path
from boneage_roi.cli.options import BundleOption, ProviderOption
from boneage_roi.errors import InputError

QuietOption = Annotated[
    float, typer.Option(min=0, max=3600, metavar="SECONDS", help="A study is complete when so long nothing came.")
]
ModalityOption = Annotated[
    list[str] | None, typer.Option(help="Modality that is taken; give it again for each. Default: CR, DX, RG.")
]
BodyPartOption = Annotated[
    list[str] | None, typer.Option(help="Word in BodyPartExamined that is taken, again for each. Default: HAND, WRIST.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, max=256, help="Threads of each network.")]


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
    provider: ProviderOption = "cpu",
    bundle: BundleOption = None,
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
    from boneage_roi.service.server import listening, make_server
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
    logging.getLogger("highdicom").setLevel(logging.CRITICAL)  # it tells every step
    reader = BoneAgeReader(bundle, threads=settings.network_threads, provider=provider)
    listener = listening(host, port)
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{port}  (Ctrl-C ends it)", flush=True)
    if token is None and host not in ("127.0.0.1", "::1", "localhost"):
        print("no --token: everyone who reaches this address can use it", flush=True)
    make_server(create_app(reader, settings), settings).run([listener])


@app.command(
    epilog=examples(
        "listen --send-to PACS@192.0.2.1:104",
        "listen --aet BONEAGE --port 11112 --host 0.0.0.0 --send-to ORTHANC@127.0.0.1:4242 --accept-from ORTHANC",
    )
)
def listen(
    send_to: Annotated[str, typer.Option(metavar="AET@HOST:PORT", help="Archive that gets the findings.")],
    aet: Annotated[str, typer.Option(help="Application entity title of this node.")] = "BONEAGE",
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 11112,
    queue: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder of the queue; what was taken in is there until it is sent.", parser=given_path
        ),
    ] = Path("boneage-queue"),
    quiet: QuietOption = 10.0,
    accept_from: Annotated[
        list[str] | None, typer.Option(metavar="AET", help="Title that may call; give it again for each. Default: all.")
    ] = None,
    modality: ModalityOption = None,
    body_part: BodyPartOption = None,
    associations: Annotated[int, typer.Option(min=1, max=1000, help="Associations at a time.")] = 10,
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Certificate; turns TLS on.", parser=given_path)
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Key of the certificate.", parser=given_path)
    ] = None,
    tls_authority: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Who must have signed the others' certificates.", parser=given_path),
    ] = None,
    threads: ThreadsOption = None,
    provider: ProviderOption = "cpu",
    bundle: BundleOption = None,
) -> None:
    """Run a DICOM node: takes hand radiographs, and sends a structured report and a picture of each back.

    Other instances are acknowledged and left. A study is read when nothing came to it for a while.
    """
    for package, extra in (("pynetdicom", "node"), ("highdicom", "dicom")):
        if find_spec(package) is None:
            raise InputError(f"the DICOM node needs {package}: pip install 'boneage-roi[{extra}]'")
    import logging
    import signal
    import threading
    from dataclasses import replace

    from boneage_roi.pipeline.reader import BoneAgeReader
    from boneage_roi.service.node.deliver import DimseStore, Peer, Sender, run
    from boneage_roi.service.node.queue import Queue
    from boneage_roi.service.node.receive import Listening, Rules, claim, start
    from boneage_roi.service.node.tls import contexts

    server_side, client_side = contexts(tls_certificate, tls_key, tls_authority)
    peer = replace(Peer.parse(send_to), tls=client_side)
    rules = Rules.of(modality, body_part)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for noisy in ("pynetdicom", "highdicom"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # they quote what was sent, or tell every step
    reader = BoneAgeReader(bundle, threads=threads, provider=provider)
    server = claim(Listening(aet, host, port, tuple(accept_from or ()), associations, server_side))
    kept = Queue(queue)
    end = start(server, kept, rules)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print(f"{aet} listens on {host}:{port}, sends to {send_to}; queue in {queue}  (Ctrl-C ends it)", flush=True)
    run(reader, kept, Sender(DimseStore(aet, peer), kept), quiet, stop)
    end()
