"""DICOM: pixels as a viewer shows them, and what the header tells."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)

from boneage_roi.errors import InputError
from boneage_roi.imaging.intensity import stretch
from boneage_roi.imaging.reading import read_radiograph
from tests.imaging.test_reading import EXPECTED, HEIGHT, WIDTH, ramp


def header(stored: NDArray[Any], bits: int = 12, **attributes: object) -> Dataset:
    """A computed radiograph with these stored pixels; attributes set or replace header fields."""
    dataset = Dataset()
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 * stored.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OB" if stored.itemsize == 1 else "OW"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def save(path: Path, dataset: Dataset) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (12, np.uint16), (16, np.uint16), (12, np.int16)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_bones_are_bright_at_every_depth(tmp_path: Path, bits: int, kind: type, photometric: str) -> None:
    stored = ramp(2**bits)
    if photometric == "MONOCHROME1":
        stored = (2**bits - 1 - stored.astype(np.int64)).astype(np.uint16)
    if kind is np.int16:
        stored = stored.astype(np.int64) - 2 ** (bits - 1)
    path = save(tmp_path / "hand.dcm", header(stored.astype(kind), bits, PhotometricInterpretation=photometric))
    np.testing.assert_allclose(read_radiograph(path).pixels, EXPECTED, atol=2 / 2**bits + 1e-5)


def test_window_clips(tmp_path: Path) -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 1024}
    pixels = read_radiograph(save(tmp_path / "hand.dcm", header(ramp(4096), **window))).pixels
    np.testing.assert_allclose(pixels, stretch(ramp(4096).clip(1536, 2560)), atol=2e-3)


def test_window_is_in_rescaled_units(tmp_path: Path) -> None:
    window = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 3096, "WindowWidth": 2048}
    pixels = read_radiograph(save(tmp_path / "hand.dcm", header(ramp(4096), **window))).pixels
    np.testing.assert_allclose(pixels, stretch(ramp(4096).clip(1536, 2560)), atol=2e-3)


def test_turned_with_a_window(tmp_path: Path) -> None:
    """The window is in stored units and comes before MONOCHROME1 is turned."""
    attributes = {"WindowCenter": 1000, "WindowWidth": 1024, "PhotometricInterpretation": "MONOCHROME1"}
    pixels = read_radiograph(save(tmp_path / "hand.dcm", header(4095 - ramp(4096), **attributes))).pixels
    np.testing.assert_allclose(pixels, stretch(ramp(4096).clip(4095 - 1512, 4095 - 488)), atol=3e-3)


def test_voi_lut(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = np.minimum(np.arange(4096) * 32, 65535).astype(np.uint16).tobytes()
    table["LUTData"].VR = "OW"
    pixels = read_radiograph(save(tmp_path / "hand.dcm", header(ramp(4096), VOILUTSequence=[table]))).pixels
    np.testing.assert_allclose(pixels, stretch(ramp(4096).clip(0, 2048)), atol=2e-3)


def test_unusable_window_is_as_good_as_none(tmp_path: Path) -> None:
    path = save(tmp_path / "hand.dcm", header(ramp(4096), WindowCenter=0, WindowWidth=0))
    np.testing.assert_allclose(read_radiograph(path).pixels, EXPECTED, atol=1e-3)


def test_padding_does_not_eat_the_contrast(tmp_path: Path) -> None:
    stored = ramp(4096).astype(np.int16)
    stored[:, :10] = -32768
    pixels = read_radiograph(save(tmp_path / "hand.dcm", header(stored, 16, PixelPaddingValue=-32768))).pixels
    assert pixels[:, :10].max() < 0.01
    assert np.ptp(pixels[:, 10:]) > 0.99


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
def test_compressed(tmp_path: Path, syntax: str) -> None:
    dataset = header(ramp(4096))
    dataset.compress(syntax)
    np.testing.assert_allclose(read_radiograph(save(tmp_path / "hand.dcm", dataset)).pixels, EXPECTED, atol=1e-3)


def test_colour(tmp_path: Path) -> None:
    stored = np.dstack([ramp().astype(np.uint8)] * 3)
    colour = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}
    path = save(tmp_path / "hand.dcm", header(stored, 8, **colour))
    np.testing.assert_allclose(read_radiograph(path).pixels, EXPECTED, atol=0.01)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_without_preamble_and_suffix(tmp_path: Path, syntax: str) -> None:
    dataset = header(ramp(4096), PatientSex="F")
    del dataset.file_meta
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    path = tmp_path / "IM0001"
    path.write_bytes(buffer.getvalue())
    radiograph = read_radiograph(path)
    assert radiograph.sex == "F"
    np.testing.assert_allclose(radiograph.pixels, EXPECTED, atol=1e-3)


def test_header_facts(tmp_path: Path) -> None:
    facts = {"PatientSex": "M", "PatientAge": "009Y", "ImageLaterality": "L", "ImagerPixelSpacing": [0.15, 0.2]}
    radiograph = read_radiograph(save(tmp_path / "hand.dcm", header(ramp(4096), **facts)))
    assert (radiograph.sex, radiograph.chronological_age, radiograph.laterality) == ("M", 108, "L")
    assert radiograph.pixel_spacing == (0.15, 0.2)


def test_caller_outranks_header(tmp_path: Path) -> None:
    path = save(tmp_path / "hand.dcm", header(ramp(4096), PatientSex="M", PatientAge="009Y"))
    radiograph = read_radiograph(path, sex="F", chronological_age=0.0)
    assert (radiograph.sex, radiograph.chronological_age) == ("F", 0.0)


def test_header_that_says_nothing(tmp_path: Path) -> None:
    radiograph = read_radiograph(save(tmp_path / "hand.dcm", header(ramp(4096), PatientSex="O", PatientAge="")))
    assert (radiograph.sex, radiograph.chronological_age) == (None, None)
    assert (radiograph.laterality, radiograph.pixel_spacing) == (None, None)


@pytest.mark.parametrize(
    ("age", "birth", "months"),
    [
        ("030M", "", 30),
        ("052W", "", 12),
        ("", "20100115", 120),
        ("009Y", "20100415", 117),  # the dates are finer
        ("009Y", "19000101", 108),  # a made-up birth date
    ],
)
def test_age(tmp_path: Path, age: str, birth: str, months: float) -> None:
    dates = {"PatientAge": age, "PatientBirthDate": birth, "StudyDate": "20200115"}
    radiograph = read_radiograph(save(tmp_path / "hand.dcm", header(ramp(4096), **dates)))
    assert radiograph.chronological_age == pytest.approx(months, abs=0.1)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"NumberOfFrames": 7, "PixelData": ramp(4096).tobytes() * 7}, "holds 7 frames"),
        ({"PixelData": ramp(4096).tobytes()[: HEIGHT * WIDTH]}, "cannot be decoded"),
        ({"Rows": 20000, "Columns": 10000}, "10000 x 20000 px is too large"),
        ({"Rows": 50}, f"{WIDTH} x 50 px is too small"),
        ({"PixelData": bytes(2 * HEIGHT * WIDTH)}, "blank"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, attributes: dict[str, object], message: str) -> None:
    path = save(tmp_path / "hand.dcm", header(ramp(4096), **attributes))
    with pytest.raises(InputError, match=message) as caught:
        read_radiograph(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_report_without_pixels(tmp_path: Path) -> None:
    dataset = header(ramp(4096))
    del dataset.PixelData
    with pytest.raises(InputError, match="no pixels"):
        read_radiograph(save(tmp_path / "hand.dcm", dataset))


def test_no_image(tmp_path: Path) -> None:
    dataset = header(ramp(4096))
    del dataset.Rows, dataset.PixelData
    with pytest.raises(InputError, match="holds no image"):
        read_radiograph(save(tmp_path / "report.dcm", dataset))
