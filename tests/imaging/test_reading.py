"""Reading every raster format, and what a user is told when a file cannot be read."""

import os
import socket
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from boneage_roi.errors import InputError
from boneage_roi.imaging.reading import list_images, read_radiograph
from tests.imaging.makers import EXPECTED, GREY, HEIGHT, WIDTH, encoded, oversized, png, png_chunk, ramp, tiff, write

SUFFIXES = [".png", ".jpg", ".jp2", ".webp", ".tif", ".bmp", ".gif"]
DEEP = ramp(65536)
PILLOW = Image.fromarray(GREY)
COLOUR = PILLOW.convert("RGB")


def read(tmp_path: Path, data: bytes) -> NDArray[np.float32]:
    """The pixels of a file, whose name tells nothing."""
    path = tmp_path / "hand"
    path.write_bytes(data)
    return read_radiograph(path).pixels


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("channels", [1, 3])
def test_formats_agree(tmp_path: Path, suffix: str, channels: int) -> None:
    image = GREY if channels == 1 else np.dstack([GREY] * 3)
    pixels = read_radiograph(write(tmp_path / f"hand{suffix}", image)).pixels
    assert pixels.dtype == np.float32
    assert pixels.shape == (HEIGHT, WIDTH)
    assert np.abs(pixels - EXPECTED).max() < 0.03


@pytest.mark.parametrize("levels", [1024, 4096, 65536])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jp2"])
def test_depth_beyond_8_bits_is_kept(tmp_path: Path, suffix: str, levels: int) -> None:
    pixels = read_radiograph(write(tmp_path / f"hand{suffix}", ramp(levels))).pixels
    assert np.abs(pixels - EXPECTED).max() < 2 / levels + 1e-6


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_18_12_16_bit_colour(tmp_path: Path, suffix: str) -> None:
    pixels = read_radiograph(write(tmp_path / f"hand{suffix}", np.dstack([DEEP] * 3))).pixels
    np.testing.assert_allclose(pixels, EXPECTED, atol=1e-4)


@pytest.mark.parametrize(
    "image",
    [
        DEEP,
        DEEP.astype(np.uint32) * 65537,
        (DEEP.astype(np.int32) - 32768).astype(np.int16),
        2_000_000_000 + DEEP.astype(np.int32),  # float32 would see 4 greys of it
        DEEP.astype(np.float32) / 100 - 7,
        DEEP.astype(np.float64) * 1e300,
    ],
    ids=lambda image: str(image.dtype),
)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_18_12_tiff_of_every_number(tmp_path: Path, image: NDArray[Any], order: str, big: bool) -> None:
    pixels = read(tmp_path, tiff(image, order=order, big=big))
    np.testing.assert_allclose(pixels, EXPECTED, atol=1e-4)


@pytest.mark.parametrize("image", [GREY, DEEP, DEEP.astype(np.float32)], ids=lambda image: str(image.dtype))
def test_tiff_where_white_is_zero(tmp_path: Path, image: NDArray[Any]) -> None:
    pixels = read(tmp_path, tiff(image.max() - image, tags=[{262: 0}]))
    np.testing.assert_allclose(pixels, EXPECTED, atol=0.01)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "BMP"])
def test_1_bit(tmp_path: Path, name: str) -> None:
    image = np.zeros((HEIGHT, WIDTH), bool)
    image[40:, 30:] = True
    np.testing.assert_array_equal(read(tmp_path, encoded(Image.fromarray(image), name)), image)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "BMP", "GIF"])
def test_palette(tmp_path: Path, name: str) -> None:
    """With the palette turned, equal indices mean the opposite grey."""
    image = Image.fromarray(GREY, mode="P")
    image.putpalette([255 - entry // 3 for entry in range(768)])
    assert np.abs(read(tmp_path, encoded(image, name)) - (1 - EXPECTED)).max() < 0.01


def test_palette_with_transparent_entries(tmp_path: Path) -> None:
    data = encoded(PILLOW.convert("P"), "PNG", transparency=bytes(range(256)))
    assert np.abs(read(tmp_path, data) - EXPECTED).max() < 0.01


@pytest.mark.parametrize(
    ("name", "mode"), [("PNG", "LA"), ("PNG", "RGBA"), ("WEBP", "RGBA"), ("TIFF", "LA"), ("JPEG2000", "RGBA")]
)
def test_transparency_is_ignored(tmp_path: Path, name: str, mode: str) -> None:
    image = COLOUR.convert(mode)
    image.putalpha(Image.fromarray(255 - GREY))
    options = {"lossless": True, "exact": True} if name == "WEBP" else {}
    assert np.abs(read(tmp_path, encoded(image, name, **options)) - EXPECTED).max() < 0.01


@pytest.mark.parametrize(("samples", "colour_type"), [(2, 4), (4, 6)])
def test_transparency_is_ignored_in_16_bits(tmp_path: Path, samples: int, colour_type: int) -> None:
    image = np.dstack([DEEP] * (samples - 1) + [65535 - DEEP])
    np.testing.assert_allclose(read(tmp_path, png(image, colour_type)), EXPECTED, atol=1e-4)


@pytest.mark.parametrize("image", [GREY, DEEP], ids=["8", "16"])
def test_interlaced_png(tmp_path: Path, image: NDArray[Any]) -> None:
    pixels = read(tmp_path, png(image, 0, interlaced=True))
    np.testing.assert_allclose(pixels, EXPECTED, atol=0.01)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {"progressive": True}),
        ("CMYK", {}),
        ("L", {"icc_profile": b"not a profile"}),
        ("L", {"exif": b"Exif\0\0junk"}),
    ],
)
def test_jpeg_of_every_kind(tmp_path: Path, mode: str, options: dict[str, Any]) -> None:
    pixels = read(tmp_path, encoded(COLOUR.convert(mode), "JPEG", quality=95, **options))
    np.testing.assert_allclose(pixels, EXPECTED, atol=0.01)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, EXPECTED),
        (2, EXPECTED[:, ::-1]),
        (3, EXPECTED[::-1, ::-1]),
        (4, EXPECTED[::-1]),
        (5, EXPECTED.T),
        (6, np.rot90(EXPECTED, -1)),
        (7, EXPECTED[::-1, ::-1].T),
        (8, np.rot90(EXPECTED)),
        (99, EXPECTED),
    ],
)
def test_exif_orientation(tmp_path: Path, name: str, orientation: int, upright: NDArray[np.float32]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"tiffinfo": {0x0112: orientation}} if name == "TIFF" else {"exif": exif.tobytes()}
    options |= {"lossless": True} if name == "WEBP" else {}
    np.testing.assert_allclose(read(tmp_path, encoded(COLOUR, name, **options)), upright, atol=0.02)


def test_exif_orientation_of_16_bit_colour(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(np.dstack([DEEP] * 3), 2, png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    np.testing.assert_allclose(read(tmp_path, data), np.rot90(EXPECTED, -1), atol=1e-4)


def test_markers_do_not_set_the_contrast(tmp_path: Path) -> None:
    image = ramp(1000)
    image[0, :5] = 65535
    assert np.abs(read_radiograph(write(tmp_path / "hand.png", image)).pixels[1:] - EXPECTED[1:]).max() < 0.01


def test_dark_on_bright_is_left_to_the_hand_frame(tmp_path: Path) -> None:
    pixels = read_radiograph(write(tmp_path / "hand.png", 65535 - DEEP)).pixels
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


def failure(path: Path, data: bytes | None = None) -> str:
    """The one line that a user reads when this path is given, with this in it."""
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_radiograph(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_no_file(tmp_path: Path) -> None:
    assert "no such file" in failure(tmp_path / "hand.png")
    assert "cannot be read" in failure(tmp_path / ("long" * 100))
    assert "cannot be read" in failure(tmp_path / "null\0.png")


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    assert "is a folder" in failure(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    assert "is a pipe" in failure(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert "is a pipe" in failure(tmp_path / "s")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    assert "is a pipe" in failure(tmp_path / "zero.png")


def test_links(tmp_path: Path) -> None:
    write(tmp_path / "hand.png", GREY)
    (tmp_path / "link.png").symlink_to("hand.png")
    assert read_radiograph(tmp_path / "link.png").source == str(tmp_path / "link.png")
    (tmp_path / "broken.png").symlink_to("nowhere.png")
    assert "link to a file that is not there" in failure(tmp_path / "broken.png")
    (tmp_path / "round.png").symlink_to("round.png")
    assert "cannot be read" in failure(tmp_path / "round.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = write(tmp_path / "hand.png", GREY)
    path.chmod(0)
    assert "Permission denied" in failure(path)


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "hand.png").open("wb") as file:
        file.truncate(600 * 2**20)
    assert "larger than 512 MB" in failure(tmp_path / "hand.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (bytes(1000), "not an image"),
        (b"path,sex\nhand.png,F\n" * 50, "a text file"),
        (b"%PDF-1.7\n\xe2\xe3", "a PDF"),
        (b"PK\x03\x04\x14\0\0\0", "a ZIP archive"),
        (b"\n<!-- saved -->\n<!DOCTYPE html><html>404 Not Found</html>", "an HTML page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "a HEIC photo"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1", "an AVIF image"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42", "a video"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in failure(tmp_path / "hand.png", content)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / f"hand{suffix}", np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH), np.uint8))
    whole, data = read_radiograph(path).pixels, path.read_bytes()
    for end in (*range(1, 64), *range(64, len(data), len(data) // 20), len(data) - 20, len(data) - 4):
        path.write_bytes(data[:end])
        with suppress(InputError):  # no error where the file ends in what is not needed
            np.testing.assert_array_equal(read_radiograph(path).pixels, whole)
    assert capfd.readouterr().err == ""


def test_png_with_a_flipped_bit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its checksums find every one."""
    for image in (GREY, DEEP, np.dstack([DEEP] * 3)):
        data = write(tmp_path / "hand.png", image).read_bytes()
        for place in range(8, len(data) - 12, len(data) // 25):
            damaged = bytearray(data)
            damaged[place] ^= 4
            assert "damaged" in failure(tmp_path / "hand.png", bytes(damaged))
    assert capfd.readouterr().err == ""


def test_blank(tmp_path: Path) -> None:
    assert "blank" in failure(write(tmp_path / "hand.png", np.full((100, 100), 7, np.uint8)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number(tmp_path: Path, value: float) -> None:
    image = ramp().astype(np.float32)
    image[:50] = value
    assert "finite" in failure(write(tmp_path / "hand.tif", image))


def test_too_small(tmp_path: Path) -> None:
    message = failure(write(tmp_path / "hand.png", ramp()[:, :40]))
    assert f"40 x {HEIGHT} px is too small" in message


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_too_large_is_said_before_decoding(tmp_path: Path, suffix: str) -> None:
    assert "10000 x 8000 px is too large" in failure(tmp_path / "hand", oversized(suffix, 10000, 8000))


def test_too_large_lossy_webp(tmp_path: Path) -> None:
    data = oversized(".webp", 16000, 8000, cv2.IMWRITE_WEBP_QUALITY, 50)
    assert "16000 x 8000 px is too large" in failure(tmp_path / "hand.webp", data)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jp2", ".tif", ".bmp", ".gif"])
def test_far_too_large(tmp_path: Path, suffix: str) -> None:
    assert "too large" in failure(tmp_path / "hand", oversized(suffix, 30_000, 30_000))


def test_too_deep(tmp_path: Path) -> None:
    image = np.dstack([DEEP.astype(np.float64)] * 3)
    assert "192 bits a pixel are too many" in failure(write(tmp_path / "hand.tif", image))


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_bomb_beside_the_pixels(tmp_path: Path, kind: bytes) -> None:
    bomb = png_chunk(kind, b"name\0\0" + zlib.compress(bytes(2**24)))
    assert "damaged" in failure(tmp_path / "hand.png", png(GREY, 0, bomb))


PICTURES = [PILLOW, PILLOW.rotate(90), PILLOW.rotate(180)]


@pytest.mark.parametrize("name", ["TIFF", "GIF", "WEBP", "PNG"])
def test_several_pages_are_refused(tmp_path: Path, name: str) -> None:
    data = encoded(PICTURES[0], name, save_all=True, append_images=PICTURES[1:])
    assert "holds 3 " in failure(tmp_path / "hand", data)


def test_preview_in_a_phones_jpeg_does_not_count(tmp_path: Path) -> None:
    data = encoded(PICTURES[0], "MPO", save_all=True, append_images=PICTURES[1:])
    np.testing.assert_allclose(read(tmp_path, data), EXPECTED, atol=0.03)


@pytest.mark.parametrize("marked", [{254: 1}, {254: 4}, {255: 2}], ids=["thumbnail", "mask", "old thumbnail"])
def test_thumbnails_do_not_count(tmp_path: Path, marked: dict[int, int]) -> None:
    thumbnail = 255 - GREY[::2, ::2]
    after = tiff(DEEP, thumbnail, tags=[{}, marked])
    before = tiff(thumbnail, DEEP, tags=[marked])
    for data in (after, before):
        np.testing.assert_allclose(read(tmp_path, data), EXPECTED, atol=1e-4)


def test_tiff_directories_in_a_circle(tmp_path: Path) -> None:
    data = bytearray(tiff(GREY, GREY))
    following = 8 + 2 + 12 * 10  # the first directory begins at 8 and has 10 entries
    second = int.from_bytes(data[following : following + 4], "little")
    data[second + 122 : second + 126] = bytes([8, 0, 0, 0])
    assert "holds 2 pages" in failure(tmp_path / "hand.tif", bytes(data))


def test_list_images(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "c.dcm", "notes.txt", ".hidden.png", "labels.csv"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("1.2.840.5", "IM0001", "DICOMDIR"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    (tmp_path / "README").write_text("no image")
    (tmp_path / "more.png").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken.tif").symlink_to("nowhere.tif")  # listed, so that somebody hears of it
    names = [path.name for path in list_images(tmp_path)]
    assert names == ["1.2.840.5", "IM0001", "a.jpg", "b.PNG", "broken.tif", "c.dcm"]


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
