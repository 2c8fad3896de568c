"""DICOM: pixels as a viewer shows them, and what the header tells."""

import io
import struct
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.fileset import FileSet
from pydicom.uid import (
    JPEG2000,
    UID,
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from boneage_roi.errors import InputError
from boneage_roi.imaging.intensity import stretch
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.values import Radiograph
from tests.imaging.makers import (
    EXPECTED,
    GREY,
    HEIGHT,
    JPEG_LOSSLESS,
    JPEG_LS,
    STEPS,
    WIDTH,
    compressed,
    dicom,
    encoded,
    header,
    lookup_table,
    ramp,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom warns of what these files are made for

DEEP = ramp(4096)
RGB: dict[str, Any] = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Dataset], Radiograph]:
    """Save a data set, and read it back."""

    def save_and_read(dataset: Dataset) -> Radiograph:
        (tmp_path / "hand.dcm").write_bytes(dicom(dataset))
        return read_radiograph(tmp_path / "hand.dcm")

    return save_and_read


Read = Callable[[Dataset], Radiograph]


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (12, np.uint16), (16, np.uint16), (12, np.int16)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_bones_are_bright_at_every_depth(read: Read, bits: int, kind: type, photometric: str) -> None:
    stored = ramp(2**bits).astype(np.int64)
    if photometric == "MONOCHROME1":
        stored = 2**bits - 1 - stored
    if kind is np.int16:
        stored = stored - 2 ** (bits - 1)
    pixels = read(header(stored.astype(kind), bits, PhotometricInterpretation=photometric)).pixels
    np.testing.assert_allclose(pixels, EXPECTED, atol=2 / 2**bits + 1e-5)


@pytest.mark.parametrize(
    ("photometric", "shape", "turned"),
    [
        ("MONOCHROME1", "INVERSE", True),  # as the standard wants it: both say the same
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
    ],
)
def test_presentation_shape(read: Read, photometric: str, shape: str, turned: bool) -> None:
    stored = 4095 - DEEP if turned else DEEP
    pixels = read(header(stored, PhotometricInterpretation=photometric, PresentationLUTShape=shape)).pixels
    np.testing.assert_allclose(pixels, EXPECTED, atol=1e-3)


@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 1, "RescaleIntercept": 0}])
def test_window_clips(read: Read, rescale: dict[str, Any]) -> None:
    pixels = read(header(DEEP, WindowCenter=2048, WindowWidth=1024, **rescale)).pixels
    np.testing.assert_allclose(pixels, stretch(DEEP.clip(1536, 2560)), atol=2e-3)


def test_window_is_in_rescaled_units(read: Read) -> None:
    window: dict[str, Any] = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 3096, "WindowWidth": 2048}
    np.testing.assert_allclose(read(header(DEEP, **window)).pixels, stretch(DEEP.clip(1536, 2560)), atol=2e-3)


def test_negative_slope_turns_once(read: Read) -> None:
    window: dict[str, Any] = {"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 2048, "WindowWidth": 1024}
    pixels = read(header(4095 - DEEP, **window)).pixels
    np.testing.assert_allclose(pixels, stretch(DEEP.clip(1536, 2560)), atol=2e-3)


def test_empty_rescale_is_none(read: Read) -> None:
    pixels = read(header(DEEP, RescaleSlope=None, RescaleIntercept=None)).pixels
    np.testing.assert_allclose(pixels, EXPECTED, atol=1e-3)


def test_of_several_windows_the_first(read: Read) -> None:
    pixels = read(header(DEEP, WindowCenter=[2048, 100], WindowWidth=[1024, 10])).pixels
    np.testing.assert_allclose(pixels, stretch(DEEP.clip(1536, 2560)), atol=2e-3)


def test_exact_window(read: Read) -> None:
    window: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 1024, "VOILUTFunction": "LINEAR_EXACT"}
    np.testing.assert_allclose(read(header(DEEP, **window)).pixels, stretch(DEEP.clip(1536, 2560)), atol=1e-3)


def test_sigmoid_window(read: Read) -> None:
    window: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 1024, "VOILUTFunction": "SIGMOID"}
    expected = stretch(1 / (1 + np.exp(-4 * (DEEP - 2048.0) / 1024)))
    np.testing.assert_allclose(read(header(DEEP, **window)).pixels, expected, atol=1e-3)


def test_turned_with_a_window(read: Read) -> None:
    """The window is in stored units and comes before MONOCHROME1 is turned."""
    attributes: dict[str, Any] = {"WindowCenter": 1000, "WindowWidth": 1024, "PhotometricInterpretation": "MONOCHROME1"}
    pixels = read(header(4095 - DEEP, **attributes)).pixels
    np.testing.assert_allclose(pixels, stretch(DEEP.clip(4095 - 1512, 4095 - 488)), atol=3e-3)


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 0, "WindowWidth": 0},
        {"WindowCenter": 900_000, "WindowWidth": 10},  # shows nothing
        {"WindowCenter": 2048},
        {"WindowCenter": "nan", "WindowWidth": "100"},
        {"VOILUTSequence": []},
        {"VOILUTSequence": [Dataset()]},
    ],
)
def test_unusable_window_is_as_good_as_none(read: Read, window: dict[str, Any]) -> None:
    np.testing.assert_allclose(read(header(DEEP, **window)).pixels, EXPECTED, atol=1e-3)


@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 1, "RescaleIntercept": 0}])
@pytest.mark.parametrize(
    "entries",
    [
        np.minimum(np.arange(4096) * 32, 65535).astype(np.uint16),
        np.minimum(np.arange(4096) // 8, 255).astype(np.uint16),  # of 8 bits, in words
        np.minimum(np.arange(4096) // 8, 255).astype(np.uint8),  # of 8 bits, in bytes
    ],
    ids=["16", "8 in words", "8 in bytes"],
)
def test_voi_lut(read: Read, entries: NDArray[Any], rescale: dict[str, Any]) -> None:
    table = lookup_table(entries, 0, 16 if entries.max() > 255 else 8)
    window: dict[str, Any] = {"WindowCenter": 50, "WindowWidth": 20}  # the table goes before
    pixels = read(header(DEEP, VOILUTSequence=[table], **window, **rescale)).pixels
    np.testing.assert_allclose(pixels, stretch(DEEP.clip(0, 2048)), atol=0.01)


def test_modality_lut(read: Read) -> None:
    table = lookup_table(np.arange(2000, 3000).astype(np.uint16), 1000, 16)
    pixels = read(header(DEEP, ModalityLUTSequence=[table])).pixels
    np.testing.assert_allclose(pixels, stretch(DEEP.clip(1000, 1999)), atol=1e-3)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    "padding", [{"PixelPaddingValue": -32768}, {"PixelPaddingValue": -30000, "PixelPaddingRangeLimit": -32768}]
)
def test_padding_is_dark_and_does_not_eat_the_contrast(read: Read, photometric: str, padding: dict[str, Any]) -> None:
    stored = DEEP.astype(np.int16)
    stored[:, :10] = -32768
    pixels = read(header(stored, 16, PhotometricInterpretation=photometric, **padding)).pixels
    assert pixels[:, :10].max() < 0.01
    assert np.ptp(pixels[:, 10:]) > 0.99


@pytest.mark.parametrize("signed", [False, True])
def test_unused_bits_and_overlays_are_left_out(read: Read, signed: bool) -> None:
    """The upper 4 of 16 bits hold anything, such as an overlay; another is in an element of its own."""
    noise = np.random.default_rng(0).integers(0, 16, DEEP.shape).astype(np.uint16) << 12
    stored = ((DEEP - 2048 if signed else DEEP) & 0xFFF) | noise
    dataset = header(stored.astype(np.int16) if signed else stored)
    dataset.add_new(0x60000010, "US", HEIGHT)
    dataset.add_new(0x60000011, "US", WIDTH)
    dataset.add_new(0x60003000, "OW", bytes([255]) * (HEIGHT * WIDTH // 8))
    np.testing.assert_allclose(read(dataset).pixels, EXPECTED, atol=1e-3)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_uncompressed(read: Read, syntax: UID) -> None:
    dataset = header(DEEP, VOILUTSequence=[lookup_table(np.arange(4096).astype(np.uint16), 0, 16)])
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = DEEP.astype(">u2").tobytes()
        dataset.VOILUTSequence[0].LUTData = np.arange(4096).astype(">u2").tobytes()
        dataset.set_original_encoding(False, False)
    np.testing.assert_allclose(read(dataset).pixels, EXPECTED, atol=1e-3)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
def test_compressed(read: Read, syntax: str) -> None:
    dataset = header(DEEP)
    dataset.compress(syntax)
    np.testing.assert_allclose(read(dataset).pixels, EXPECTED, atol=1e-3)


@pytest.mark.parametrize(("syntax", "frame"), [(JPEGLosslessSV1, JPEG_LOSSLESS), (JPEGLSLossless, JPEG_LS)])
def test_compressed_by_others(read: Read, syntax: str, frame: bytes) -> None:
    np.testing.assert_allclose(read(compressed(header(STEPS), syntax, frame)).pixels, stretch(STEPS), atol=1e-6)


@pytest.mark.parametrize(("mode", "photometric"), [("L", "MONOCHROME2"), ("RGB", "YBR_FULL_422")])
def test_jpeg_baseline(read: Read, mode: str, photometric: str) -> None:
    image = Image.fromarray(GREY).convert(mode)
    colour = RGB | {"PhotometricInterpretation": photometric} if mode == "RGB" else {}
    dataset = header(np.asarray(image), 8, **colour)
    frame = encoded(image, "JPEG", quality=95)
    np.testing.assert_allclose(read(compressed(dataset, JPEGBaseline8Bit, frame)).pixels, EXPECTED, atol=0.02)


def test_lossy_jpeg_2000(read: Read) -> None:
    frame = encoded(Image.fromarray(GREY), "JPEG2000", no_jp2=True, irreversible=True)
    np.testing.assert_allclose(read(compressed(header(GREY, 8), JPEG2000, frame)).pixels, EXPECTED, atol=0.02)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("bits", [8, 16])
def test_colour(read: Read, planar: int, bits: int) -> None:
    kind = np.uint8 if bits == 8 else np.uint16
    stored = np.dstack([ramp(2**bits).astype(kind)] * 3)
    dataset = header(stored, bits, **RGB | {"PlanarConfiguration": planar})
    if planar:
        dataset.PixelData = stored.transpose(2, 0, 1).tobytes()
    np.testing.assert_allclose(read(dataset).pixels, EXPECTED, atol=0.01)


def test_uncompressed_luminance_and_colour_differences(read: Read) -> None:
    grey = GREY.reshape(HEIGHT, WIDTH // 2, 2)
    neutral = np.full((HEIGHT, WIDTH // 2, 2), 128, np.uint8)
    dataset = header(np.dstack([GREY] * 3), 8, **RGB | {"PhotometricInterpretation": "YBR_FULL_422"})
    dataset.PixelData = np.concatenate([grey, neutral], axis=2).tobytes()
    np.testing.assert_allclose(read(dataset).pixels, EXPECTED, atol=0.01)


def test_palette(read: Read) -> None:
    dataset = header(255 - GREY, 8, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", np.arange(255, -1, -1, dtype=np.uint16).tobytes())
        dataset[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
    np.testing.assert_allclose(read(dataset).pixels, EXPECTED, atol=0.01)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_without_preamble_and_suffix(tmp_path: Path, syntax: str) -> None:
    little = syntax != ExplicitVRBigEndian
    dataset = header(DEEP, PatientSex="F")
    dataset.PixelData = DEEP.astype("<u2" if little else ">u2").tobytes()
    del dataset.file_meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little)
    path = tmp_path / "IM0001"
    path.write_bytes(buffer.getvalue())
    radiograph = read_radiograph(path)
    assert radiograph.sex == "F"
    np.testing.assert_allclose(radiograph.pixels, EXPECTED, atol=1e-3)


def test_excess_pixel_data_is_left_out(read: Read) -> None:
    np.testing.assert_allclose(read(header(DEEP, PixelData=DEEP.tobytes() + bytes(500))).pixels, EXPECTED, atol=1e-3)


@pytest.mark.parametrize(
    ("spacing", "shape", "known"),
    [
        ({"PixelSpacing": [0.2, 0.1]}, (2 * HEIGHT, WIDTH), (0.1, 0.1)),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, (HEIGHT, 2 * WIDTH), (0.1, 0.1)),
        ({"PixelAspectRatio": [3, 2]}, (HEIGHT * 3 // 2, WIDTH), None),
        ({"PixelSpacing": [0.15, 0.15], "PixelAspectRatio": [3, 2]}, (HEIGHT, WIDTH), (0.15, 0.15)),
        ({"PixelSpacing": [0.1, 0]}, (HEIGHT, WIDTH), None),
        ({"PixelSpacing": [-0.1, 0.2]}, (HEIGHT, WIDTH), None),
        ({"PixelSpacing": ["nan", "1e300"]}, (HEIGHT, WIDTH), None),
        ({"PixelSpacing": []}, (HEIGHT, WIDTH), None),
    ],
)
def test_pixels_become_square(
    read: Read, spacing: dict[str, Any], shape: tuple[int, int], known: tuple[float, float] | None
) -> None:
    radiograph = read(header(DEEP, **spacing))
    assert radiograph.pixels.shape == shape
    assert radiograph.pixel_spacing == known


def test_header_facts(read: Read) -> None:
    facts: dict[str, Any] = {
        "PatientSex": "M",
        "PatientAge": "009Y",
        "ImageLaterality": "L",
        "ImagerPixelSpacing": [0.15, 0.15],
    }
    radiograph = read(header(DEEP, **facts))
    assert (radiograph.sex, radiograph.chronological_age, radiograph.laterality) == ("M", 108, "L")
    assert radiograph.pixel_spacing == (0.15, 0.15)


def test_caller_outranks_header(tmp_path: Path) -> None:
    path = tmp_path / "hand.dcm"
    path.write_bytes(dicom(header(DEEP, PatientSex="M", PatientAge="009Y")))
    radiograph = read_radiograph(path, sex="F", chronological_age=0.0)
    assert (radiograph.sex, radiograph.chronological_age) == ("F", 0.0)


@pytest.mark.parametrize("said", ["O", "", "FEMALE"])
def test_header_that_says_nothing(read: Read, said: str) -> None:
    radiograph = read(header(DEEP, PatientSex=said, PatientAge="", PatientBirthDate="20101350", StudyDate=said))
    assert (radiograph.sex, radiograph.chronological_age) == (None, None)
    assert (radiograph.laterality, radiograph.pixel_spacing) == (None, None)


def test_header_that_makes_no_sense_does_not_hide_the_image(tmp_path: Path) -> None:
    data = dicom(header(DEEP, PixelSpacing=[0.15, 0.15], PatientSex="F"))
    place = data.index(b"0.15\\0.15")
    path = tmp_path / "hand.dcm"
    path.write_bytes(data[:place] + b"one\\and.a" + data[place + 9 :])
    assert read_radiograph(path).pixel_spacing is None


@pytest.mark.parametrize(
    ("age", "birth", "months"),
    [
        ("030M", "", 30),
        ("052W", "", 12),
        ("", "20100115", 120),
        ("009Y", "20100415", 117),  # the dates are finer
        ("009Y", "19000101", 108),  # a made-up birth date
        ("009Y", "20000101", 108),  # another one
    ],
)
def test_age(read: Read, age: str, birth: str, months: float) -> None:
    dates: dict[str, Any] = {"PatientAge": age, "PatientBirthDate": birth, "StudyDate": "20200115"}
    assert read(header(DEEP, **dates)).chronological_age == pytest.approx(months, abs=0.1)


def test_dates_height_and_patient(read: Read) -> None:
    facts: dict[str, Any] = {
        "PatientBirthDate": "20100210",
        "StudyDate": "20200625",
        "PatientSize": "1.425",
        "PatientID": " P7 ",
    }
    radiograph = read(header(DEEP, **facts))
    assert (radiograph.birth_date, radiograph.study_date) == (date(2010, 2, 10), date(2020, 6, 25))
    assert (radiograph.height_cm, radiograph.patient) == (142.5, "P7")
    assert radiograph.chronological_age == 124.5  # 15 of the 30 days to 10 July
    assert "P7" not in repr(radiograph)
    assert "2010" not in repr(radiograph)


@pytest.mark.parametrize("size", ["142.5", "0", "", "-1.4"])
def test_a_height_in_another_unit_is_none(read: Read, size: str) -> None:
    assert read(header(DEEP, PatientSize=size)).height_cm is None


def test_dates_that_a_caller_knows_give_the_age(tmp_path: Path) -> None:
    path = tmp_path / "hand.dcm"
    path.write_bytes(dicom(header(DEEP, PatientAge="009Y", PatientBirthDate="20100115", StudyDate="20200115")))
    assert read_radiograph(path, study_date=date(2020, 7, 15)).chronological_age == 126
    assert read_radiograph(path, birth_date=date(2011, 1, 15)).chronological_age == 108
    assert read_radiograph(path, birth_date=date(2011, 1, 15), chronological_age=90).chronological_age == 90
    with pytest.raises(InputError, match=r"hand.dcm: the study date 2009-01-01 is no date in the life") as caught:
        read_radiograph(path, study_date=date(2009, 1, 1))
    assert "2010" not in str(caught.value)
    with pytest.raises(InputError, match=r"height 1\.4: centimetres between 30 and 250"):
        read_radiograph(path, height_cm=1.4)


def refusal(read: Read, dataset: Dataset) -> str:
    """What a user reads; nothing of it is the patient's."""
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Secret^Name", "SecretId", "20100203"
    with pytest.raises(InputError) as caught:
        read(dataset)
    message = str(caught.value)
    assert "\n" not in message
    assert not any(word in message for word in ("Secret", "20100203"))
    return message


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"NumberOfFrames": 7, "PixelData": DEEP.tobytes() * 7}, "holds 7 frames"),
        ({"NumberOfFrames": -1}, "cannot be decoded"),
        ({"PixelData": DEEP.tobytes()[: HEIGHT * WIDTH]}, "cannot be decoded"),
        ({"PixelData": b""}, "cannot be decoded"),
        ({"Rows": 20000, "Columns": 10000}, "10000 x 20000 px is too large"),
        ({"Rows": 65535, "Columns": 65535}, "too large"),
        ({"Rows": 50}, f"{WIDTH} x 50 px is too small"),
        ({"Rows": 0}, "too small"),
        ({"Rows": [HEIGHT, HEIGHT]}, "damaged or holds no image"),
        ({"PixelData": bytes(2 * HEIGHT * WIDTH)}, "blank"),
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, "blank"),
        ({"HighBit": 15}, "HighBit"),
        ({"SamplesPerPixel": 65535}, "1048560 bits a pixel are too many"),
        ({"BitsAllocated": 128}, "128 bits a pixel are too many"),
        ({"BitsAllocated": 0}, "cannot be decoded"),
        ({"ModalityLUTSequence": [Dataset()]}, "cannot be decoded"),
        ({"PixelSpacing": [900, 0.001]}, "too large"),
    ],
)
def test_errors_are_one_line(read: Read, attributes: dict[str, Any], message: str) -> None:
    assert message in refusal(read, header(DEEP, **attributes))


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (BasicTextSRStorage, "Basic Text SR"),
        (EncapsulatedPDFStorage, "Encapsulated PDF"),
        (GrayscaleSoftcopyPresentationStateStorage, "Presentation State"),
        ("1.2.3.4", "the DICOM file is damaged or holds no image"),
    ],
)
@pytest.mark.parametrize("lacking", [["PixelData"], ["Rows", "Columns", "PixelData"]])
def test_what_holds_no_pixels_is_named(read: Read, kind: str, named: str, lacking: list[str]) -> None:
    dataset = header(DEEP, SOPClassUID=kind)
    for keyword in lacking:
        delattr(dataset, keyword)
    assert named in refusal(read, dataset)


def test_dicomdir(tmp_path: Path) -> None:
    files = FileSet()
    dataset = header(DEEP, PatientID="1", StudyInstanceUID="1.2", SeriesInstanceUID="1.3", Modality="CR")
    for keyword in ("StudyDate", "StudyTime", "StudyID", "PatientName", "SeriesNumber", "InstanceNumber"):
        setattr(dataset, keyword, "1" if keyword.endswith("Number") else "")
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20200101", "1200", "1"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    files.add(dataset)
    files.write(tmp_path)
    with pytest.raises(InputError, match="is a DICOMDIR; give the image files"):
        read_radiograph(tmp_path / "DICOMDIR")


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless])
def test_compressed_image_of_another_size(read: Read, syntax: str) -> None:
    """It would be decoded before anyone looks at its size."""
    size = struct.pack(">II", 60_000, 60_000)
    if syntax == JPEG2000Lossless:
        frame = encoded(Image.fromarray(GREY), "JPEG2000", no_jp2=True)
        frame = frame[:8] + size + frame[16:24] + size + frame[32:]  # the image and its only tile
    else:
        frame = encoded(Image.fromarray(GREY), "JPEG")
        place = frame.index(b"\xff\xc0") + 5
        frame = frame[:place] + struct.pack(">HH", 60_000, 60_000) + frame[place + 4 :]
    assert "different sizes" in refusal(read, compressed(header(GREY, 8), syntax, frame))


def test_deflated_bomb(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boneage_roi.imaging.dicom.LARGEST_FILE", 2**20)
    dataset = header(DEEP, PixelData=bytes(2 * 2**20))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert "damaged" in refusal(read, dataset)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
def test_truncated(tmp_path: Path, syntax: str) -> None:
    dataset = header(np.random.default_rng(0).integers(0, 4096, DEEP.shape).astype(np.uint16))
    if syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax)
    data = dicom(dataset)
    path = tmp_path / "hand.dcm"
    for end in (*range(1, 800, 53), *range(800, len(data) - 20, len(data) // 15)):
        path.write_bytes(data[:end])
        with pytest.raises(InputError, match=r"damaged|cannot be decoded|not an image"):
            read_radiograph(path)
