"""Whatever bytes a file holds: a radiograph, or one line that says why there is none."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from boneage_roi.errors import InputError
from boneage_roi.imaging.reading import read_radiograph
from tests.imaging.makers import (
    GREY,
    JPEG_LOSSLESS,
    JPEG_LS,
    STEPS,
    compressed,
    dicom,
    encoded,
    header,
    image_file,
    png,
    ramp,
    tiff,
)

DEEP = ramp(4096)
PATIENT: dict[str, Any] = {
    "PatientName": "Secret^Name",
    "PatientID": "SecretId",
    "PatientSex": "F",
    "PatientAge": "010Y",
}


def dicom_in(syntax: str) -> bytes:
    dataset = header(DEEP, WindowCenter=2048, WindowWidth=4096, PixelSpacing=[0.15, 0.15], **PATIENT)
    if syntax in (RLELossless, JPEG2000Lossless):
        dataset.compress(syntax)
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    if syntax == ExplicitVRBigEndian:
        dataset.set_original_encoding(False, False)
    return dicom(dataset)


def files() -> dict[str, bytes]:
    """A radiograph in every format, as small as it may be."""
    grey, colour = Image.fromarray(GREY), Image.fromarray(GREY).convert("RGB")
    rasters = {
        f"8-bit{suffix}": image_file(suffix, GREY)
        for suffix in (".png", ".jpg", ".jp2", ".webp", ".tif", ".bmp", ".gif")
    }
    rasters |= {f"16-bit{suffix}": image_file(suffix, DEEP) for suffix in (".png", ".jp2", ".tif")}
    rasters |= {
        "colour.png": png(np.dstack([DEEP] * 3), 2),
        "palette.png": encoded(grey.convert("P"), "PNG"),
        "progressive.jpg": encoded(colour, "JPEG", progressive=True, exif=Image.Exif()),
        "lossy.webp": encoded(colour, "WEBP"),
        "float.tif": tiff(DEEP.astype(np.float32)),
        "double.tif": tiff(DEEP.astype(np.float64), order=">", big=True),
        "pages.tif": tiff(GREY, GREY[::2, ::2], tags=[{}, {254: 1}]),
        "packed.tif": encoded(grey, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": encoded(colour, "TIFF", compression="jpeg"),
    }
    syntaxes = (
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
    )
    dicoms = {f"{syntax.name}.dcm": dicom_in(syntax) for syntax in syntaxes}
    dicoms |= {
        "JPEG.dcm": dicom(compressed(header(GREY, 8), JPEGBaseline8Bit, encoded(grey, "JPEG"))),
        "lossless.dcm": dicom(compressed(header(STEPS), JPEGLosslessSV1, JPEG_LOSSLESS)),
        "JPEG-LS.dcm": dicom(compressed(header(STEPS), JPEGLSLossless, JPEG_LS)),
    }
    return rasters | dicoms


FILES = files()


def check(path: Path) -> None:
    """Read a file, and see that what comes is one of the two."""
    try:
        radiograph = read_radiograph(path)
    except InputError as error:
        message = str(error)
        assert message.startswith(f"{path}: ")
        assert len(message.splitlines()) == 1
        assert "Secret" not in message
    else:
        assert radiograph.pixels.dtype == np.float32
        assert radiograph.pixels.ndim == 2
        assert min(radiograph.pixels.shape) >= 64
        assert np.isfinite(radiograph.pixels).all()
        assert radiograph.pixels.min() >= 0
        assert radiograph.pixels.max() <= 1


def mutated(data: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    """Flip, overwrite, insert, cut out or cut off at places given as shares of the length."""
    for kind, share, new in edits:
        place = int(share * len(data))
        end = place + len(new)
        flipped = bytes(old ^ mask for old, mask in zip(data[place:end], new, strict=False))
        middle = {"flip": flipped, "write": new, "insert": new + data[place:end], "cut": b"", "end": b""}[kind]
        data = data[:place] + middle + (b"" if kind == "end" else data[end:])
    return data


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], None]:
    path = tmp_path_factory.mktemp("fuzz") / "hand"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        check(path)

    return read


SHARES = st.floats(0, 1, exclude_max=True) | st.floats(0, 0.05)  # headers decide more than pixels
KINDS = ("flip", "write", "insert", "cut", "end")
EDITS = st.lists(st.tuples(st.sampled_from(KINDS), SHARES, st.binary(min_size=1, max_size=8)), min_size=1, max_size=6)
DICOM_STARTS = (bytes(128) + b"DICM", b"\x08\0\x05\0CS")
STARTS = st.sampled_from([b"", *sorted({data[:12] for data in FILES.values()}), *DICOM_STARTS])


@given(start=STARTS, rest=st.binary(max_size=3000))
@settings(max_examples=150, deadline=20_000)
def test_any_bytes(reading: Callable[[bytes], None], start: bytes, rest: bytes) -> None:
    reading(start + rest)


@pytest.mark.filterwarnings("ignore")
@given(name=st.sampled_from(sorted(FILES)), edits=EDITS)
@settings(max_examples=400, deadline=20_000)
def test_damaged_files(reading: Callable[[bytes], None], name: str, edits: list[tuple[str, float, bytes]]) -> None:
    reading(mutated(FILES[name], edits))


@pytest.mark.parametrize("name", FILES)
def test_whole_files(reading: Callable[[bytes], None], tmp_path: Path, name: str) -> None:
    """What the tests above damage is whole."""
    (tmp_path / "hand").write_bytes(FILES[name])
    read_radiograph(tmp_path / "hand")


def random_edits(random_: random.Random) -> list[tuple[str, float, bytes]]:
    return [
        (random_.choice(KINDS), random_.random() ** random_.choice((1, 4)), random_.randbytes(random_.randint(1, 8)))
        for _ in range(random_.randint(1, 4))
    ]


def damage(folder: Path, seed: int, rounds: int) -> None:
    """Read so many damaged copies of every file; the last is left in the folder, should the process end."""
    random_ = random.Random(seed)
    for _ in range(rounds):
        for data in FILES.values():
            (folder / "hand").write_bytes(mutated(data, random_edits(random_)))
            check(folder / "hand")


SAY_PEAK = """
from pathlib import Path
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""  # not ru_maxrss, which starts from the memory of the process that this one came from


def peak(code: str) -> int:
    """Bytes of memory at most of a process that runs this code."""
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each takes room for a stack
    root, environment = Path(__file__).parents[2], os.environ | threads
    command = [sys.executable, "-c", code + SAY_PEAK]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_damage_takes_no_memory(tmp_path: Path) -> None:
    """Sizes are checked before room is made for them; 2 GB are all there is."""
    code = f"""
import resource, warnings
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
warnings.simplefilter("ignore")
from tests.imaging.test_fuzz import damage
damage(Path({str(tmp_path)!r}), 1, 15)
"""
    assert peak(code) < 800 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
def test_largest_image_takes_less_than_2_gb(tmp_path: Path) -> None:
    side = 7071
    shown = {"RescaleSlope": 1, "RescaleIntercept": 0, "WindowCenter": 7000, "WindowWidth": 9000}
    stored = np.add.outer(np.arange(side, dtype=np.uint16), np.arange(side, dtype=np.uint16))
    (tmp_path / "hand").write_bytes(dicom(header(stored, 16, PixelPaddingValue=0, **shown)))
    code = f"""
from boneage_roi.imaging.reading import read_radiograph
assert read_radiograph({str(tmp_path / "hand")!r}).pixels.size > 49_000_000
"""
    assert peak(code) < 2_000_000_000
