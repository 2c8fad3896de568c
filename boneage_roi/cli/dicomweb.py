"""The command that asks an archive over DICOMweb."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.cli.common import app, examples, fail, given_path
from boneage_roi.cli.options import BundleOption, ProviderOption
from boneage_roi.cli.service import BodyPartOption, ModalityOption, QuietOption, ThreadsOption
from boneage_roi.errors import InputError


@app.command(
    epilog=examples(
        "dicomweb --url https://pacs.example/dicom-web --days 1",
        "dicomweb --url http://127.0.0.1:8042/dicom-web --user reader --once",
    )
)
def dicomweb(
    url: Annotated[str, typer.Option(metavar="URL", help="Root of the archive's DICOMweb service.")],
    days: Annotated[
        int, typer.Option(min=-1, max=36500, help="So many days back a study may lie; 0 is today, -1 is all.")
    ] = 1,
    every: Annotated[
        float, typer.Option(min=1, max=86400, metavar="SECONDS", help="How often the archive is asked.")
    ] = 60.0,
    once: Annotated[bool, typer.Option("--once", help="Ask once, read, send, and end.")] = False,
    user: Annotated[str | None, typer.Option(help="Name for the archive; its password is in BONEAGE_PASSWORD.")] = None,
    password: Annotated[
        str | None, typer.Option(envvar="BONEAGE_PASSWORD", show_envvar=True, help="Password of --user.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="BONEAGE_ARCHIVE_TOKEN", show_envvar=True, help="Bearer token for the archive."),
    ] = None,
    queue: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder of the queue; what was fetched is there until it is sent.", parser=given_path
        ),
    ] = Path("boneage-queue"),
    quiet: QuietOption = 10.0,
    modality: ModalityOption = None,
    body_part: BodyPartOption = None,
    threads: ThreadsOption = None,
    provider: ProviderOption = "cpu",
    bundle: BundleOption = None,
) -> None:
    """Ask an archive for hand radiographs over DICOMweb, and store a structured report and a picture of each there.

    What was read, or looked at and left, is in the queue's folder: it is not fetched again for 30 days.
    """
    for package, extra in (("pynetdicom", "node"), ("dicomweb_client", "node"), ("highdicom", "dicom")):
        if find_spec(package) is None:
            raise InputError(f"DICOMweb needs {package}: pip install 'boneage-roi[{extra}]'")
    import logging
    import signal
    import threading

    from boneage_roi.pipeline.reader import BoneAgeReader
    from boneage_roi.service.node.deliver import Sender, read_complete, run
    from boneage_roi.service.node.queue import Queue
    from boneage_roi.service.node.receive import Rules
    from boneage_roi.service.node.web import Archive, Fetcher, WebStore

    client = Archive(url, token, user, password).client()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for noisy in ("pynetdicom", "dicomweb_client", "urllib3", "highdicom"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # they quote UIDs and what was sent
    reader = BoneAgeReader(bundle, threads=threads, provider=provider)
    kept = Queue(queue)
    fetcher = Fetcher(client, kept, Rules.of(modality, body_part), None if days < 0 else days)
    sender = Sender(WebStore(client), kept)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if once:
        fetcher.fetch(stop.is_set)
        read_complete(reader, kept, 0, stop.is_set)
        while sender.send_waiting():
            pass
        left = len(kept.answers())
        if left or fetcher.failed:
            why = fetcher.failed or "the archive did not take all"
            raise typer.Exit(fail(f"{url}: {why}; {left} findings wait in {queue}"))
        return

    def fetching() -> None:
        while not stop.is_set():
            fetcher.fetch(stop.is_set)
            if fetcher.failed:
                logging.getLogger("boneage_roi.node").warning("%s", fetcher.failed)
            stop.wait(every)

    print(f"asks {url}; queue in {queue}  (Ctrl-C ends it)", flush=True)
    run(reader, kept, sender, quiet, stop, fetching)
