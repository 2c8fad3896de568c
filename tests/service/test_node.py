"""The DICOM node against other programs: dcmtk and Orthanc on this computer. Killed on the way, it loses nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.bundles import EXAMPLES, needs_bundle
from tests.service.conftest import free_port

pytest.importorskip("pynetdicom", reason="needs the extra `node`")
pytest.importorskip("highdicom", reason="needs the extra `dicom`")

SCRIPTS = Path(sys.executable).parent
ORTHANC = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
# pynetdicom brings commands of the same names, with other options; a virtual environment puts them first.
SYSTEM = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if folder != str(SCRIPTS))
ECHOSCU, STORESCU = (shutil.which(name, path=SYSTEM) or "" for name in ("echoscu", "storescu"))
STUDIES = int(os.environ.get("NODE_STUDIES", "6"))
KILLS = int(os.environ.get("NODE_KILLS", "2"))

pytestmark = needs_bundle


def radiograph(path: Path, number: int, picture: str = "girl-10y.png", **changes: Any) -> Path:
    """A synthetic hand as a DICOM file of a study of its own."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    pixels = np.asarray(Image.open(EXAMPLES / picture).convert("L"), np.uint16) * 16
    pixels = np.clip(pixels + number, 0, 4095).astype(np.uint16)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1")
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["i", str(number)])
    data.StudyInstanceUID = generate_uid(entropy_srcs=["s", str(number)])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["e", str(number)])
    data.PatientID, data.PatientName = f"T{number:03}", f"Test^{number}"
    data.PatientSex, data.PatientBirthDate = picture[0].replace("b", "M").replace("g", "F"), "20100101"
    data.StudyDate, data.StudyTime, data.AccessionNumber, data.StudyID = "20200601", "120000", "", "1"
    data.ReferringPhysicianName, data.Modality, data.BodyPartExamined = "", "CR", "HAND"
    data.SeriesNumber, data.InstanceNumber, data.Laterality = 1, 1, "L"
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelData = pixels.tobytes()
    for name, value in changes.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


class Node:
    """``boneage-roi listen`` as a program of its own."""

    def __init__(self, folder: Path, send_to: str, *options: str) -> None:
        self.port = free_port()
        self.folder = folder
        self._command = [
            *(sys.executable, "-m", "boneage_roi", "listen", "--send-to", send_to, "--port", str(self.port)),
            *("--queue", str(folder / "queue"), "--quiet", "1", "--threads", "2", *options),
        ]
        self.start()

    def start(self) -> None:
        log = (self.folder / "node.log").open("a")
        self.process = subprocess.Popen(self._command, stdout=log, stderr=log, text=True)
        wait_for(lambda: answers(self.port), 90, "the node listens")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def answers(port: int) -> bool:
    done = subprocess.run([ECHOSCU, "-to", "2", "-aec", "BONEAGE", "127.0.0.1", str(port)], capture_output=True)
    return done.returncode == 0


def wait_for(true: Callable[[], Any], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return
        time.sleep(0.3)
    pytest.fail(f"waited {seconds:g} s in vain: {what}")


@dataclass(frozen=True)
class Archive:
    """An Orthanc."""

    http: int
    dicom: int

    def ask(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def modalities(self) -> dict[str, Counter[str]]:
        """How many instances of each modality every patient has."""
        studies = self.ask("/studies?expand")
        patients = {study["ID"]: study["PatientMainDicomTags"]["PatientID"] for study in studies}
        found: dict[str, Counter[str]] = {}
        for series in self.ask("/series?expand"):
            counts = found.setdefault(patients[series["ParentStudy"]], Counter())
            counts[series["MainDicomTags"]["Modality"]] += len(series["Instances"])
        return found


DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[tuple[Archive, int]]:
    """An Orthanc, and the port on which it thinks that the node is."""
    if not Path(ORTHANC).is_file() or not STORESCU:
        pytest.skip("needs Orthanc and dcmtk (apt install orthanc dcmtk)")
    one = Archive(free_port(), free_port())
    node = free_port()
    settings = {
        "HttpPort": one.http,
        "DicomPort": one.dicom,
        "DicomAet": "ORTHANC",
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomModalities": {"boneage": ["BONEAGE", "127.0.0.1", node]},
        "Plugins": [str(DICOMWEB)] if DICOMWEB.exists() else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    log = (tmp_path / "orthanc.log").open("w")
    process = subprocess.Popen([ORTHANC, str(tmp_path / "orthanc.json")], stdout=log, stderr=log)

    def up() -> bool:
        try:
            return bool(one.ask("/system"))
        except OSError:
            return False

    wait_for(up, 60, "Orthanc runs")
    yield one, node
    process.terminate()
    process.wait(60)


def test_what_goes_from_an_archive_to_the_node_comes_back_once_whatever_is_killed(
    archive: tuple[Archive, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orthanc, port = archive
    pictures = sorted(path.name for path in EXAMPLES.glob("*-*y*.png"))
    for number in range(STUDIES):
        picture = pictures[number % len(pictures)]
        orthanc.ask("/instances", radiograph(tmp_path / "x.dcm", number, picture).read_bytes())
    noise = np.random.default_rng(0).integers(0, 4095, (700, 560), dtype=np.uint16).tobytes()
    orthanc.ask("/instances", radiograph(tmp_path / "x.dcm", 900, PatientID="noise", PixelData=noise).read_bytes())
    cut = radiograph(tmp_path / "x.dcm", 901, PatientID="cut", PixelData=b"\0\0" * 50)
    orthanc.ask("/instances", cut.read_bytes())
    chest = radiograph(tmp_path / "x.dcm", 902, PatientID="chest", BodyPartExamined="CHEST")
    orthanc.ask("/instances", chest.read_bytes())

    monkeypatch.setattr("tests.service.test_node.free_port", lambda: port)
    node = Node(tmp_path, f"ORTHANC@127.0.0.1:{orthanc.dicom}")
    try:
        studies = orthanc.ask("/studies")
        due = [len(studies) * (kill + 1) // (KILLS + 1) for kill in range(KILLS)]
        for count, study in enumerate(studies):
            if count in due:
                time.sleep(2)
                node.kill()
                node.start()
            body = {"Resources": [study], "Synchronous": True}
            orthanc.ask("/modalities/boneage/store", json.dumps(body).encode())

        def all_there() -> bool:
            return sum(counts["SR"] and counts["OT"] for counts in orthanc.modalities().values()) >= STUDIES

        wait_for(all_there, 60 + 30 * STUDIES, "a report for each study")
        time.sleep(3)
    finally:
        node.kill()
    found = orthanc.modalities()
    for number in range(STUDIES):
        assert found[f"T{number:03}"] == {"CR": 1, "SR": 1, "OT": 1}
    for left in ("noise", "cut", "chest"):
        assert found[left] == {"CR": 1}
    queue = tmp_path / "queue"
    assert not list(queue.rglob("*.dcm"))
    assert "Test^" not in (tmp_path / "node.log").read_text()


def test_what_the_archive_does_not_take_waits_for_it(tmp_path: Path) -> None:
    """Sent by storescu while the receiver is down, and again: one answer, that waits."""
    if not STORESCU:
        pytest.skip("needs dcmtk (apt install dcmtk)")
    node = Node(tmp_path, f"NOBODY@127.0.0.1:{free_port()}")
    path = radiograph(tmp_path / "hand.dcm", 1)
    try:
        for _ in range(2):
            send = [STORESCU, "-aec", "BONEAGE", "127.0.0.1", str(node.port), str(path)]
            assert subprocess.run(send, capture_output=True).returncode == 0
        wait_for(lambda: len(list((tmp_path / "queue/answers").glob("*/*.dcm"))) == 2, 90, "the answer is there")
        wait_for(lambda: "the next try is in" in (tmp_path / "node.log").read_text(), 30, "it tries")
        assert subprocess.run(
            [ECHOSCU, "-aec", "OTHER", "127.0.0.1", str(node.port)], capture_output=True
        ).returncode, "another title is not answered"
        assert node.stop() == 0
        assert len(list((tmp_path / "queue/answers").glob("*/*.dcm"))) == 2
    finally:
        node.kill()


def dicomweb(orthanc: Archive, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """One round of ``boneage-roi dicomweb``."""
    command = [sys.executable, "-m", "boneage_roi", "dicomweb", "--url", f"http://127.0.0.1:{orthanc.http}/dicom-web"]
    command += ["--once", "--queue", str(folder / "web-queue"), "--threads", "2", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(not DICOMWEB.exists(), reason="needs Orthanc's DICOMweb plugin (apt install orthanc-dicomweb)")
def test_dicomweb_fetches_hands_and_stores_one_finding_of_each(archive: tuple[Archive, int], tmp_path: Path) -> None:
    orthanc, _ = archive
    for number, picture in enumerate(("girl-10y.png", "boy-7y.png")):
        orthanc.ask("/instances", radiograph(tmp_path / "x.dcm", number, picture).read_bytes())
    cut = radiograph(tmp_path / "x.dcm", 901, PatientID="cut", PixelData=b"\0\0" * 50)
    orthanc.ask("/instances", cut.read_bytes())
    chest = radiograph(tmp_path / "x.dcm", 902, PatientID="chest", BodyPartExamined="CHEST")
    orthanc.ask("/instances", chest.read_bytes())
    nothing = dicomweb(orthanc, tmp_path, "--days", "0")
    assert nothing.returncode == 0, nothing.stderr
    assert orthanc.modalities()["T000"] == {"CR": 1}, "the studies are of 2020"
    for _ in range(2):  # the second round finds nothing new
        done = dicomweb(orthanc, tmp_path, "--days", "-1")
        assert done.returncode == 0, done.stderr
        found = orthanc.modalities()
        assert found["T000"] == found["T001"] == {"CR": 1, "SR": 1, "OT": 1}
        assert found["chest"] == found["cut"] == {"CR": 1}
    assert "taken" not in done.stderr
    assert "Test^" not in done.stderr
    assert "1.2.826" not in done.stderr, "a UID was logged"
    assert not list((tmp_path / "web-queue").rglob("*.dcm"))


def test_an_archive_that_does_not_answer_is_told_in_a_line(tmp_path: Path) -> None:
    pytest.importorskip("dicomweb_client", reason="needs the extra `node`")
    done = dicomweb(Archive(free_port(), 0), tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: the archive could not be asked")
    command = [sys.executable, "-m", "boneage_roi", "dicomweb", "--url", "pacs:8042"]
    wrong = subprocess.run(command, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "write the root of a DICOMweb service" in wrong.stderr
