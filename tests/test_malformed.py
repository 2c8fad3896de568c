"""Files that are damaged, hostile or no radiograph at all: each is one line, and none stops a batch."""

import csv
import os
import shutil
import stat
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.uid import (
    MPEG2MPML,
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from boneage_roi.cli import main
from tests.bundles import EXAMPLES
from tests.imaging.makers import (
    GREY,
    JPEG_LS,
    compressed,
    dicom,
    encoded,
    header,
    image_file,
    oversized,
    png,
    png_chunk,
    ramp,
    tiff,
)
from tests.pipeline.test_batch import ToyPredictor

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom warns of what these files are made for

DEEP = ramp(4096)
PICTURES = [Image.fromarray(np.roll(GREY, shift, axis=0)) for shift in range(3)]
PNG, JPEG, JP2, WEBP, TIFF, BMP, GIF = (
    image_file(suffix, GREY) for suffix in (".png", ".jpg", ".jp2", ".webp", ".tif", ".bmp", ".gif")
)
DICOM = dicom(header(DEEP))

Maker = Callable[[Path], Path]


def holding(name: str, content: Callable[[], bytes]) -> Maker:
    """Makes a file with this content, which is computed when the test runs."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content())
        return folder / name

    return make


def linking(target: str) -> Maker:
    def make(folder: Path) -> Path:
        (folder / "link.png").symlink_to(target)
        return folder / "link.png"

    return make


def node(kind: int) -> Maker:
    def make(folder: Path) -> Path:
        os.mknod(folder / "node.png", kind | 0o600)
        return folder / "node.png"

    return make


def sparse(folder: Path) -> Path:
    with (folder / "sparse.png").open("wb") as file:
        file.truncate(600 * 2**20)
    return folder / "sparse.png"


def empty_folder(folder: Path) -> Path:
    (folder / "empty.png").mkdir()
    return folder / "empty.png"


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def animated(name: str) -> bytes:
    return encoded(PICTURES[0], name, save_all=True, append_images=PICTURES[1:])


def without(*keywords: str, **attributes: Any) -> bytes:
    dataset = header(DEEP, **attributes)
    for keyword in keywords:
        delattr(dataset, keyword)
    return dicom(dataset)


def in_syntax(syntax: str, frame: bytes) -> bytes:
    return dicom(compressed(header(DEEP), syntax, frame))


def deflated(content: bytes) -> bytes:
    dataset = header(DEEP)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data = dicom(dataset)
    (length,) = struct.unpack_from("<I", data, 140)
    return data[: 144 + length] + content


def bomb(kind: bytes) -> bytes:
    """A PNG with 16 MB of zeros, packed, beside its pixels."""
    return png(GREY, 0, png_chunk(kind, b"name\0\0" + zlib.compress(bytes(2**24))))


def nested() -> bytes:
    """Three thousand sequences, each in the one before."""
    level = struct.pack("<HH2sHI", 0x0028, 0x3010, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    pixels = DICOM.index(b"\xe0\x7f\x10\0OW")
    return DICOM[:pixels] + level * 3000 + DICOM[pixels:]


CHUNK_END = png_chunk(b"IEND", b"")
CASES: dict[str, Maker] = {
    # no file to read
    "missing": lambda folder: folder / "missing.png",
    "missing folder": lambda folder: folder / "nowhere" / "hand.png",
    "below a file": lambda folder: holding("file", lambda: b"x")(folder) / "hand.png",
    "name too long": lambda folder: folder / f"{'long' * 100}.png",
    "dangling link": linking("nowhere.png"),
    "link to itself": linking("link.png"),
    "endless device": linking("/dev/zero"),
    "empty device": linking("/dev/null"),
    "process file": linking("/proc/self/status"),
    "pipe": node(stat.S_IFIFO),
    "socket": node(stat.S_IFSOCK),
    "folder": empty_folder,
    "larger than memory": sparse,
    "empty": holding("empty.png", lambda: b""),
    # other formats
    "zeros": holding("zeros.png", lambda: bytes(5000)),
    "noise": holding("noise.png", lambda: np.random.default_rng(1).bytes(5000)),
    "one byte": holding("byte.png", lambda: b"\x89"),
    "text": holding("text.png", lambda: b"to whom it may concern\n" * 100),
    "text called DICOM": holding("text.dcm", lambda: "Röntgenbild\n".encode() * 100),
    "table": holding("table.jpg", lambda: b"path,sex\nhand.png,F\n"),
    "HTML": holding("page.png", lambda: b"<!DOCTYPE html><html><body>Please sign in</body></html>"),
    "SVG": holding("drawing.png", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "PDF": holding("report.png", lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(500)),
    "ZIP": holding("hands.png", lambda: b"PK\x03\x04" + bytes(500)),
    "gzip": holding("hand.nii.dcm", lambda: b"\x1f\x8b\x08" + bytes(500)),
    "7z": holding("7z.png", lambda: b"7z\xbc\xaf\x27\x1c" + bytes(500)),
    "HEIC": holding("photo.jpg", lambda: b"\0\0\0\x18ftypheic" + bytes(500)),
    "AVIF": holding("photo.png", lambda: b"\0\0\0\x18ftypavif" + bytes(500)),
    "video": holding("film.png", lambda: b"\0\0\0\x18ftypmp42" + bytes(500)),
    "Photoshop": holding("layers.tif", lambda: b"8BPS\0\x01" + bytes(500)),
    "NIfTI": holding("volume.png", lambda: bytes(344) + b"n+1\0" + bytes(500)),
    # PNG
    "PNG signature": holding("start.png", lambda: PNG[:8]),
    "PNG cut in its header": holding("cut.png", lambda: PNG[:20]),
    "PNG cut in its pixels": holding("half.png", lambda: PNG[: len(PNG) // 2]),
    "PNG without an end": holding("endless.png", lambda: PNG[:-12]),
    "PNG with a wrong header sum": holding("sum.png", lambda: flipped(PNG, 30)),
    "PNG with a wrong pixel": holding("pixel.png", lambda: flipped(PNG, len(PNG) // 2)),
    "PNG without pixels": holding("none.png", lambda: PNG[:33] + CHUNK_END),
    "PNG with junk for pixels": holding("junk.png", lambda: PNG[:33] + png_chunk(b"IDAT", b"junk" * 99) + CHUNK_END),
    "PNG with few pixels": holding(
        "few.png", lambda: PNG[:33] + png_chunk(b"IDAT", zlib.compress(bytes(500))) + CHUNK_END
    ),
    "PNG without its palette": holding("palette.png", lambda: png(GREY, 3)),
    "PNG of no width": holding("flat.png", lambda: oversized(".png", 0, 100)),
    "PNG of one pixel": holding("pixel1.png", lambda: png(GREY[:1, :1], 0)),
    "PNG too large": holding("large.png", lambda: oversized(".png", 30_000, 30_000)),
    "PNG with a text bomb": holding("bomb.png", lambda: bomb(b"zTXt")),
    "PNG with a profile bomb": holding("icc.png", lambda: bomb(b"iCCP")),
    "PNG animated": holding("film1.png", lambda: animated("PNG")),
    "PNG of one grey": holding("grey.png", lambda: png(GREY * 0 + 9, 0)),
    # JPEG and JPEG 2000
    "JPEG signature": holding("start.jpg", lambda: JPEG[:2]),
    "JPEG cut in its header": holding("cut.jpg", lambda: JPEG[:100]),
    "JPEG cut in its pixels": holding("half.jpg", lambda: JPEG[: len(JPEG) // 2]),
    "JPEG and then text": holding("text.jpg", lambda: b"\xff\xd8\xff\xe0" + b"text" * 100),
    "JPEG too large": holding("large.jpg", lambda: oversized(".jpg", 30_000, 30_000)),
    "JPEG-LS": holding("lossless.jpg", lambda: JPEG_LS),
    "JPEG 2000 cut": holding("half.jp2", lambda: JP2[: len(JP2) // 2]),
    "JPEG 2000 too large": holding("large.jp2", lambda: oversized(".jp2", 30_000, 30_000)),
    # WebP, BMP, GIF
    "WebP cut": holding("half.webp", lambda: WEBP[: len(WEBP) // 2]),
    "WebP animated": holding("film.webp", lambda: animated("WEBP")),
    "WebP too large": holding("large.webp", lambda: oversized(".webp", 16_000, 16_000)),
    "BMP cut": holding("half.bmp", lambda: BMP[: len(BMP) // 2]),
    "BMP too large": holding("large.bmp", lambda: oversized(".bmp", 30_000, 30_000)),
    "BMP of text": holding("text.bmp", lambda: b"BMI,age\n17,120\n" * 99),
    "GIF cut": holding("half.gif", lambda: GIF[: len(GIF) // 2]),
    "GIF animated": holding("film.gif", lambda: animated("GIF")),
    "GIF too large": holding("large.gif", lambda: oversized(".gif", 30_000, 30_000)),
    # TIFF
    "TIFF signature": holding("start.tif", lambda: TIFF[:4]),
    "TIFF cut": holding("half.tif", lambda: tiff(GREY)[:2000]),
    "TIFF with its directory elsewhere": holding("elsewhere.tif", lambda: b"II*\0" + struct.pack("<I", 10**9)),
    "TIFF without a directory": holding("none.tif", lambda: b"II*\0" + bytes(100)),
    "TIFF of several pages": holding("pages.tif", lambda: tiff(GREY, GREY, GREY)),
    "TIFF too large": holding("large.tif", lambda: tiff(GREY, tags=[{256: 30_000, 257: 30_000}])),
    "BigTIFF too large": holding("big.tif", lambda: tiff(GREY, tags=[{256: 2**31, 257: 2**31}], big=True)),
    "TIFF too deep": holding("deep.tif", lambda: tiff(GREY, tags=[{277: 65535}])),
    "TIFF of unknown compression": holding("packed.tif", lambda: tiff(GREY, tags=[{259: 31337}])),
    "TIFF that is not finite": holding("nan.tif", lambda: tiff(np.full((99, 99), np.nan, np.float32))),
    # DICOM
    "DICOM preamble": holding("start.dcm", lambda: DICOM[:132]),
    "DICOM cut in its header": holding("cut.dcm", lambda: DICOM[:400]),
    "DICOM cut in its pixels": holding("half.dcm", lambda: DICOM[: len(DICOM) // 2]),
    "DICOM without pixels": holding("none.dcm", lambda: without("PixelData")),
    "DICOM without rows": holding("rows.dcm", lambda: without("Rows")),
    "DICOM of no rows": holding("norows.dcm", lambda: without(Rows=0)),
    "DICOM with few pixels": holding("few.dcm", lambda: without(PixelData=bytes(500))),
    "DICOM of one grey": holding("grey.dcm", lambda: without(PixelData=bytes(2 * DEEP.size))),
    "DICOM too large": holding("large.dcm", lambda: without(Rows=65_535, Columns=65_535)),
    "DICOM too small": holding("small.dcm", lambda: without(Rows=20)),
    "DICOM of several frames": holding("film.dcm", lambda: without(NumberOfFrames=9)),
    "DICOM without a photometric kind": holding("kind.dcm", lambda: without("PhotometricInterpretation")),
    "DICOM with impossible bits": holding("bits.dcm", lambda: without(BitsAllocated=13)),
    "DICOM report": holding("report.dcm", lambda: without("PixelData", SOPClassUID=BasicTextSRStorage)),
    "DICOM PDF": holding("pdf.dcm", lambda: without("PixelData", "Rows", SOPClassUID=EncapsulatedPDFStorage)),
    "DICOM presentation": holding(
        "state.dcm", lambda: without("PixelData", SOPClassUID=GrayscaleSoftcopyPresentationStateStorage)
    ),
    "DICOMDIR": holding("dir.dcm", lambda: without("PixelData", "Rows", DirectoryRecordSequence=[Dataset()])),
    "DICOM of video": holding("video.dcm", lambda: in_syntax(MPEG2MPML, b"film" * 99)),
    "DICOM in an unknown syntax": holding(
        "syntax.dcm", lambda: in_syntax(MPEG2MPML, b"what" * 99).replace(b".2.4.100", b".2.4.999")
    ),
    "DICOM of junk JPEG": holding("jpeg.dcm", lambda: in_syntax(JPEGBaseline8Bit, b"junk" * 99)),
    "DICOM of junk JPEG-LS": holding("jls.dcm", lambda: in_syntax(JPEGLSLossless, JPEG_LS[:200])),
    "DICOM of junk JPEG 2000": holding("j2k.dcm", lambda: in_syntax(JPEG2000Lossless, b"junk" * 99)),
    "DICOM of junk RLE": holding("rle.dcm", lambda: in_syntax(RLELossless, b"junk" * 99)),
    "DICOM of another size": holding(
        "size.dcm", lambda: in_syntax(JPEGBaseline8Bit, oversized(".jpg", 60_000, 60_000))
    ),
    "DICOM of junk deflated": holding("junk.dcm", lambda: deflated(b"junk" * 99)),
    "DICOM of endless sequences": holding("nested.dcm", nested),
    "DICOM of too much aspect": holding("aspect.dcm", lambda: without(PixelSpacing=[900, 0.001])),
}


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Any]:
    """Run ``boneage-roi predict`` with a predictor that reads 100 months of whatever image it gets."""
    monkeypatch.setattr("boneage_roi.pipeline.settings.BoneAgeReader", lambda *_, **__: ToyPredictor())
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["boneage-roi", "predict", *map(str, arguments), "--sex", "F"])
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), *capfd.readouterr()

    return run


def test_there_are_many() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_one_line_says_what_is_wrong(predict: Callable[..., Any], tmp_path: Path, name: str) -> None:
    path = CASES[name](tmp_path)
    code, out, err = predict(path)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {path}: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert not any(word in err for word in ("Error", "Traceback", "<", "0x"))


def test_a_batch_goes_on(predict: Callable[..., Any], tmp_path: Path) -> None:
    """Every one, and the radiograph between them, in one manifest."""
    paths = []
    for number, make in enumerate(CASES.values()):
        (tmp_path / str(number)).mkdir()
        paths.append(make(tmp_path / str(number)))
    good = tmp_path / "good.png"
    shutil.copy(EXAMPLES / "girl-10y.png", good)
    paths.insert(40, good)
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path"], *([path] for path in paths)])
    code, _, err = predict("manifest.csv", "--output", "ages.csv", "--workers", "1")
    assert code == 1
    assert err.count("error: ") == len(CASES)
    assert err.endswith(f"{len(CASES)} of {len(paths)} inputs failed\n")
    with (tmp_path / "ages.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["path"]).name for row in rows] == [path.name for path in paths]
    for row in rows:
        if row["path"].endswith(good.name):
            assert (row["status"], row["bone_age_months"]) == ("ok", "100.0")
        else:
            assert row["status"] == "error"
            assert row["message"]


def test_a_folder_goes_on(predict: Callable[..., Any], tmp_path: Path) -> None:
    """What looks like an image is told of, be it a broken link; a folder in the folder is passed over."""
    for name in ("dangling link", "PDF", "JPEG cut in its pixels", "DICOM of several frames", "folder"):
        CASES[name](tmp_path)
    shutil.copy(EXAMPLES / "girl-10y.png", tmp_path)
    code, out, err = predict(tmp_path)
    assert code == 1
    assert "8 y 4 m" in out
    assert err.count("error: ") == 4


@pytest.mark.parametrize(
    "content",
    [
        b"path",
        b"picture,sex\nhand.png,F\n",
        b"path,sex\nhand.png,X\n",
        b"path,sex\n,F\n",
        b"path,sex\nhand.png,F,\n",  # more cells than the heading
        b"path,sex\nhand.png,F\nhand.png,F,9\n",
        b'path,sex\n"hand.png,F\n',
        b"path,width\nhand.png,-5\n",
        b"path,sex\nR\xf6ntgen.png,F\n",
        b"\xff\xfep\0a\0t\0h\0",
        b"%PDF-1.7",
        bytes(500),
    ],
)
def test_one_line_says_what_is_wrong_with_a_manifest(
    predict: Callable[..., Any], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    code, out, err = predict("m.csv")
    assert (code, out) == (2, "")
    assert err.startswith("error: m.csv: ")
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
def test_names_that_are_no_text(predict: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "hands").mkdir()
    good, bad = (tmp_path / "hands" / os.fsdecode(name) for name in (b"R\xf6ntgen.png", b"Gro\xdf.png"))
    shutil.copy(EXAMPLES / "girl-10y.png", good)
    bad.write_bytes(b"no image")
    code, _, err = predict("hands", "--output", "ages.csv", "--overlay", "drawn")
    assert code == 1
    assert "not an image" in err
    rows = (tmp_path / "ages.csv").read_bytes().splitlines()
    assert [row.partition(b",")[0] for row in rows[1:]] == [b"hands/Gro\xdf.png", b"hands/R\xf6ntgen.png"]
    assert [path.name for path in (tmp_path / "drawn").glob("*.png")] == [good.name]
