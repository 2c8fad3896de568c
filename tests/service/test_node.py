"""The DICOM node against other programs: dcmtk and Orthanc on this computer. Killed on the way, it loses nothing."""

import json
import os
import shutil
import signal
import socket
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


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"Modality": "DX", "BodyPartExamined": ""}, None),
        ({"BodyPartExamined": "LEFT WRIST"}, None),
        ({"Modality": "MR"}, "another modality"),
        ({"BodyPartExamined": "CHEST"}, "another body part"),
        ({"PatientAge": "019Y", "PatientBirthDate": ""}, None),
        ({"PatientAge": "034Y", "PatientBirthDate": ""}, "an adult"),
        ({"PatientBirthDate": "19800101"}, "an adult"),
        ({"PatientAge": "009Y", "PatientBirthDate": "19000101"}, None),  # made up, as de-identified files have it
        ({"PatientBirthDate": ""}, None),
    ],
)
def test_what_is_no_child_s_hand_is_left(tmp_path: Path, changes: dict[str, str], why: str | None) -> None:
    from pydicom import dcmread

    from boneage_roi.service.node.receive import Rules

    header = dcmread(radiograph(tmp_path / "hand.dcm", 1, **changes), stop_before_pixels=True)
    assert Rules.of(None, None).refuse(header) == why


class Node:
    """``boneage-roi listen`` as a program of its own."""

    def __init__(self, folder: Path, send_to: str, *options: str, up: "Callable[[int], bool] | None" = None) -> None:
        self.port = free_port()
        self._up = up or answers
        self.folder = folder
        self._command = [
            *(sys.executable, "-m", "boneage_roi", "listen", "--send-to", send_to, "--port", str(self.port)),
            *("--queue", str(folder / "queue"), "--quiet", "1", "--threads", "2", *options),
        ]
        self.start()

    def start(self) -> None:
        log = (self.folder / "node.log").open("a")
        self.process = subprocess.Popen(self._command, stdout=log, stderr=log, text=True)
        wait_for(lambda: self._up(self.port), 90, "the node listens")

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
        assert "copy attributes" not in (tmp_path / "node.log").read_text(), "the steps of a library"
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
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: http://127.0.0.1:")
    assert "the archive cannot be asked" in done.stderr
    command = [sys.executable, "-m", "boneage_roi", "dicomweb", "--url", "pacs:8042"]
    wrong = subprocess.run(command, capture_output=True, text=True)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "write the root of a DICOMweb service" in wrong.stderr


def test_a_taken_address_leaves_no_queue(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "boneage_roi", "listen", "--send-to", "PACS@127.0.0.1:104"]
        command += ["--port", str(taken.getsockname()[1]), "--queue", str(tmp_path / "queue")]
        done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "cannot listen" in done.stderr
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Certificates:
    """An authority, and who it signed: PEM files."""

    authority: Path
    certificate: Path
    key: Path


def certificates(folder: Path) -> Certificates:
    """An authority of its own, and a certificate of this computer that it signed."""
    pytest.importorskip("cryptography", reason="needs cryptography")
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder.mkdir()
    now = datetime.now(UTC)

    def signed(name: str, public: Any, by: str, signer: Any, *, authority: bool) -> x509.Certificate:
        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        builder = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(by)).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        return builder.add_extension(address, critical=False).sign(signer, hashes.SHA256())

    def pem(path: Path, one: x509.Certificate) -> Path:
        path.write_bytes(one.public_bytes(serialization.Encoding.PEM))
        return path

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    key = folder / "key.pem"
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(own.private_bytes(*form))
    return Certificates(
        pem(folder / "authority.pem", signed("authority", root.public_key(), "authority", root, authority=True)),
        pem(folder / "own.pem", signed("this computer", own.public_key(), "authority", root, authority=False)),
        key,
    )


def test_with_tls_only_who_shows_a_certificate_is_heard_and_findings_go_out_encrypted(tmp_path: Path) -> None:
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import (  # type: ignore[attr-defined]
        Comprehensive3DSRStorage,
        ComputedRadiographyImageStorage,
        SecondaryCaptureImageStorage,
        Verification,
    )

    from boneage_roi.service.node.tls import contexts

    ours, others = certificates(tmp_path / "ours"), certificates(tmp_path / "others")
    listening, calling = contexts(ours.certificate, ours.key, ours.authority)
    _, stranger = contexts(others.certificate, others.key, ours.authority)

    got: list[str] = []
    archive = AE("PACS")
    for kind in (Comprehensive3DSRStorage, SecondaryCaptureImageStorage):
        archive.add_supported_context(kind)

    def stored(event: Any) -> int:
        got.append(str(event.dataset.Modality))
        return 0

    port = free_port()
    server = archive.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)], ssl_context=listening
    )
    assert server is not None
    sender = AE("SENDER")
    sender.acse_timeout = sender.connection_timeout = 10
    for kind in (Verification, ComputedRadiographyImageStorage):
        sender.add_requested_context(kind)

    def heard(port: int, tls: Any, path: Path | None = None) -> bool:
        arguments = None if tls is None else (tls, "127.0.0.1")
        association = sender.associate("127.0.0.1", port, ae_title="BONEAGE", tls_args=arguments)
        if not association.is_established:
            return False
        status = association.send_c_echo() if path is None else association.send_c_store(str(path))
        association.release()
        return bool("Status" in status and status.Status == 0)

    options = ("--tls-certificate", "--tls-key", "--tls-authority")
    files = (ours.certificate, ours.key, ours.authority)
    pairs = [str(part) for pair in zip(options, files, strict=True) for part in pair]
    node = Node(tmp_path, f"PACS@127.0.0.1:{port}", *pairs, up=lambda port: heard(port, calling))
    try:
        assert not heard(node.port, None), "without TLS"
        assert not heard(node.port, stranger), "with a certificate that another signed"
        assert heard(node.port, calling, radiograph(tmp_path / "hand.dcm", 1))
        wait_for(lambda: len(got) == 2, 120, "the findings come")
        assert sorted(got) == ["OT", "SR"]
        assert not list((tmp_path / "queue").rglob("*.dcm"))
    finally:
        node.kill()
        server.shutdown()
