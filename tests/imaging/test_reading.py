"""Reading every raster format, and what a user is told when a file cannot be read."""

import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from boneage_roi.errors import InputError
from boneage_roi.imaging.intensity import stretch
from boneage_roi.imaging.reading import list_images, read_radiograph

HEIGHT, WIDTH = 120, 90


def ramp(levels: int = 256) -> NDArray[np.uint16]:
    """Grey values that grow to the right and downwards, so that turning, flipping and rounding all show."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    values = (2 * rows + columns) / (2 * (HEIGHT - 1) + WIDTH - 1)
    return np.rint(values * (levels - 1)).astype(np.uint16)


def write(path: Path, image: NDArray[np.generic], *parameters: int) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, image, list(parameters))[1].tobytes())
    return path


EXPECTED = stretch(ramp(65536))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_formats_agree(tmp_path: Path, suffix: str, channels: int) -> None:
    grey = ramp().astype(np.uint8)
    image = grey if channels == 1 else np.dstack([grey] * 3)
    pixels = read_radiograph(write(tmp_path / f"hand{suffix}", image)).pixels
    assert pixels.dtype == np.float32
    assert pixels.shape == (HEIGHT, WIDTH)
    assert np.abs(pixels - EXPECTED).max() < 0.03


@pytest.mark.parametrize("levels", [1024, 4096, 65536])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_depth_beyond_8_bits_is_kept(tmp_path: Path, suffix: str, levels: int) -> None:
    pixels = read_radiograph(write(tmp_path / f"hand{suffix}", ramp(levels))).pixels
    assert np.abs(pixels - EXPECTED).max() < 2 / levels + 1e-6


def test_float_tiff(tmp_path: Path) -> None:
    image = ramp(4096).astype(np.float32) / 100 - 7
    np.testing.assert_allclose(read_radiograph(write(tmp_path / "hand.tiff", image)).pixels, EXPECTED, atol=1e-3)


def test_16_bit_colour(tmp_path: Path) -> None:
    pixels = read_radiograph(write(tmp_path / "hand.png", np.dstack([ramp(65536)] * 3))).pixels
    np.testing.assert_allclose(pixels, EXPECTED, atol=1e-4)


def test_alpha_is_ignored(tmp_path: Path) -> None:
    grey = ramp().astype(np.uint8)
    image = np.dstack([grey, grey, grey, np.full_like(grey, 128)])
    assert np.abs(read_radiograph(write(tmp_path / "hand.png", image)).pixels - EXPECTED).max() < 0.01


def test_palette_bmp(tmp_path: Path) -> None:
    """An 8-bit BMP stores a palette; with the palette turned, equal indices mean the opposite grey."""
    path = write(tmp_path / "hand.bmp", ramp().astype(np.uint8))
    data = bytearray(path.read_bytes())
    palette = np.repeat(np.arange(255, -1, -1, dtype=np.uint8), 4).reshape(256, 4)
    palette[:, 3] = 0
    data[54 : 54 + 1024] = palette.tobytes()
    path.write_bytes(data)
    assert np.abs(read_radiograph(path).pixels - (1 - EXPECTED)).max() < 0.03


def test_exif_orientation(tmp_path: Path) -> None:
    path = write(tmp_path / "hand.jpg", ramp().astype(np.uint8), cv2.IMWRITE_JPEG_QUALITY, 100)
    # TIFF header, one entry: orientation (0x0112), SHORT, 1 value, 6 = turned a quarter clockwise to be seen upright
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    np.testing.assert_allclose(read_radiograph(path).pixels, np.rot90(EXPECTED, -1), atol=0.03)


def test_markers_do_not_set_the_contrast(tmp_path: Path) -> None:
    image = ramp(1000)
    image[0, :5] = 65535
    assert np.abs(read_radiograph(write(tmp_path / "hand.png", image)).pixels[1:] - EXPECTED[1:]).max() < 0.01


def test_dark_on_bright_is_left_to_the_hand_frame(tmp_path: Path) -> None:
    pixels = read_radiograph(write(tmp_path / "hand.png", 65535 - ramp(65536))).pixels
    np.testing.assert_allclose(pixels, 1 - EXPECTED, atol=1e-4)


def test_what_the_caller_knows_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "hånd 手.png", ramp())
    radiograph = read_radiograph(str(path), sex="F", chronological_age=99.5)
    assert (radiograph.sex, radiograph.chronological_age, radiograph.source) == ("F", 99.5, str(path))


@pytest.mark.parametrize(
    ("native_size", "shape"),
    [
        ((1514, 2044), (404, 299)),
        ((2044, 1514), (299, 404)),
        ((2000, 2010), (299, 299)),  # within 1 %: left as it is
    ],
)
def test_squashed_image_regains_its_aspect(
    tmp_path: Path, native_size: tuple[int, int], shape: tuple[int, int]
) -> None:
    path = write(tmp_path / "hand.png", cv2.resize(ramp(), (299, 299)))
    pixels = read_radiograph(path, native_size=native_size).pixels
    assert pixels.shape == shape
    expected = cv2.resize(EXPECTED, shape[::-1])
    assert np.abs(pixels - expected)[5:-5, 5:-5].max() < 0.02


def test_an_absurd_aspect_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "hand.png", cv2.resize(ramp(), (299, 299)))
    with pytest.raises(InputError, match="too large"):
        read_radiograph(path, native_size=(1, 30_000))


def failure(path: Path) -> str:
    """The one line that a user reads when this path is given."""
    with pytest.raises(InputError) as caught:
        read_radiograph(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_no_file(tmp_path: Path) -> None:
    assert "no such file" in failure(tmp_path / "hand.png")


def test_folder(tmp_path: Path) -> None:
    assert "folder" in failure(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"path,sex\nhand.png,F\n" * 50, "not an image"), (bytes(1000), "not an image")],
)
def test_no_image(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "hand.png"
    path.write_bytes(content)
    assert message in failure(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated(tmp_path: Path, suffix: str, share: float, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / f"hand{suffix}", np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "damaged" in failure(path) or suffix == ".tif"  # a TIFF's header may stand at its end
    assert capfd.readouterr().err == ""


def test_blank(tmp_path: Path) -> None:
    assert "blank" in failure(write(tmp_path / "hand.png", np.full((100, 100), 7, np.uint8)))


def test_not_a_number(tmp_path: Path) -> None:
    assert "finite" in failure(write(tmp_path / "hand.tif", np.full((100, 100), np.nan, np.float32)))


def test_too_small(tmp_path: Path) -> None:
    message = failure(write(tmp_path / "hand.png", ramp()[:, :40]))
    assert f"40 x {HEIGHT} px is too small" in message


def oversized(suffix: str, *parameters: int) -> bytes:
    """A small file whose header states 16000 x 8000 pixels."""
    width, height = 16000, 8000
    data = bytearray(cv2.imencode(suffix, np.zeros((128, 64), np.uint8), list(parameters))[1].tobytes())
    if suffix == ".png":
        data[16:24] = struct.pack(">II", width, height)
    elif suffix == ".bmp":
        data[18:26] = struct.pack("<ii", width, -height)
    elif suffix == ".jpg":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif data[12:16] == b"VP8L":
        struct.pack_into("<I", data, 21, (width - 1) | (height - 1) << 14)
    elif data[12:16] == b"VP8 ":
        struct.pack_into("<HH", data, 26, width, height)
    else:  # TIFF: ImageWidth and ImageLength, each one SHORT
        for tag, side in ((256, width), (257, height)):
            struct.pack_into("<H", data, data.rindex(struct.pack("<HHI", tag, 3, 1)) + 8, side)
    return bytes(data)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_too_large_is_said_before_decoding(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hand{suffix}"
    path.write_bytes(oversized(suffix))
    assert "16000 x 8000 px is too large" in failure(path)


def test_too_large_lossy_webp(tmp_path: Path) -> None:
    path = tmp_path / "hand.webp"
    path.write_bytes(oversized(".webp", cv2.IMWRITE_WEBP_QUALITY, 50))
    assert "16000 x 8000 px is too large" in failure(path)


def test_list_images(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "c.dcm", "notes.txt", ".hidden.png", "labels.csv"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("1.2.840.5", "IM0001", "DICOMDIR"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    (tmp_path / "README").write_text("no image")
    (tmp_path / "more.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["1.2.840.5", "IM0001", "a.jpg", "b.PNG", "c.dcm"]


def test_list_images_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        list_images(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        list_images(tmp_path / "none")


def test_reading_a_png_does_not_load_dicom(tmp_path: Path) -> None:
    path = write(tmp_path / "hand.png", ramp())
    code = f"import sys; from boneage_roi.imaging.reading import read_radiograph; read_radiograph({str(path)!r}); "
    code += "sys.exit('pydicom' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
