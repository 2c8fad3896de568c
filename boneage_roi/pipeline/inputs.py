"""What a command was given to work on: images, folders and manifests, spread out into one item an image."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from boneage_roi.errors import InputError
from boneage_roi.imaging.files import check_file, unreadable
from boneage_roi.imaging.reading import SUFFIXES, list_images
from boneage_roi.pipeline.item import Item, described
from boneage_roi.pipeline.storage import Place, info, is_archive, is_folder, is_url, members, objects, read_place
from boneage_roi.pipeline.tables import manifest_items, read_table

FOLDER_MANIFEST = "manifest.csv"


def list_inputs(inputs: Iterable[str | Path] | str | Path, *, recursive: bool = False) -> list[Item]:
    """Spread images, folders, archives and manifests out into images, in order.

    A folder gives the images directly in it; if it holds a ``manifest.csv``, that manifest's rows come first. A TAR or
    a ZIP gives its images, with what a JSON file of the same name says of each. Any of them may be a URL such as
    ``s3://bucket/folder``. With ``recursive`` folders give what lies in their folders too.
    An input that cannot be used (no such file, a folder without images, a bad manifest) becomes an item with an error.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    return [item for given in inputs for item in _items(given, recursive)]


def input_files(inputs: Iterable[str | Path] | str | Path, items: Iterable[Item]) -> list[str | Path]:
    """What must stay as it is when results are written: the inputs, the tables that list images, and the images."""
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    manifests = [path / FOLDER_MANIFEST for path in map(Path, given) if path.is_dir()]
    return [*given, *manifests, *(item.path for item in items)]


def _items(given: str | Path, recursive: bool) -> Iterable[Item]:
    path = Path(given)
    try:
        if not str(given).strip():
            raise InputError("an input's path is empty; give an image, a folder or a manifest")
        if is_url(given):
            return list(_remote(str(given), recursive))
        if path.is_dir():
            return _tree(path) if recursive else _folder(path)
        if is_archive(path.name) and path.is_file():
            return _archive(str(path))
        if path.suffix.lower() == ".parquet" and path.is_file():
            return _manifest(path)
        check_file(path)
        return _manifest(path) if path.suffix.lower() == ".csv" else [Item(str(path))]
    except InputError as error:
        return [Item(str(given) if is_url(given) else str(path), error=str(error))]
    except OSError as error:
        return [Item(str(path), error=str(unreadable(path, error)))]


def _tree(folder: Path) -> list[Item]:
    """The images of a folder and of all folders in it, as a PACS lays them out."""
    items: list[Item] = []
    for place, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        with suppress(InputError):  # no images directly in it
            items += _folder(Path(place))
    if not items:
        raise InputError(f"{folder}: no images in this folder and those in it; expected {', '.join(SUFFIXES)}")
    return items


def _archive(url: str) -> list[Item]:
    """The images in a TAR or a ZIP; as in WebDataset, files with one name up to the first dot belong together."""
    places: list[Place] = []
    facts: dict[str, bytes] = {}
    for place, text in members(url):
        if text is not None:
            facts[_stem(place.member)] = text
        elif _may_be_image(place.member):
            places.append(place)
    if not places:
        raise InputError(f"{url}: no images in this archive; expected {', '.join(SUFFIXES)}")
    return [described(Item(place.name, place=place), facts.get(_stem(place.member))) for place in places]


def _remote(url: str, recursive: bool) -> Iterator[Item]:
    if is_archive(url):
        yield from _archive(url)
    elif url.lower().endswith((".csv", ".parquet")):
        yield from _remote_manifest(url)
    elif not is_folder(url):
        yield Item(url, place=Place(url, **info(url)))
    else:
        known: set[str] = set()
        listed = list(objects(url, recursive=recursive))
        for place in listed:
            if place.url.endswith(f"/{FOLDER_MANIFEST}"):
                for item in _remote_manifest(place.url):
                    known.add(item.path)
                    yield item
        images = [place for place in listed if place.url not in known and _may_be_image(place.url)]
        yield from (Item(place.url, place=place) for place in images)
        if not images and not known:
            raise InputError(f"{url}: no images there; expected {', '.join(SUFFIXES)}")


def _remote_manifest(url: str) -> list[Item]:
    """A manifest in a store; relative paths in it are relative to where it lies."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / url.rpartition("/")[2]
        copy.write_bytes(read_place(Place(url)).getvalue())
        try:
            items = _manifest(copy)
        except InputError as error:
            raise InputError(str(error).replace(str(copy), url)) from None
    parent = url.rpartition("/")[0]
    urls = [item.path if is_url(item.path) else f"{parent}/{Path(item.path).relative_to(folder)}" for item in items]
    return [replace(item, path=one, place=Place(one)) for item, one in zip(items, urls, strict=True)]


def _may_be_image(name: str) -> bool:
    """By its name alone: an ending of images, or none or a number, as DICOM files have."""
    path = PurePosixPath(name)
    if path.name.startswith(".") or path.name == "DICOMDIR" or "__MACOSX" in path.parts:
        return False
    return path.suffix.lower() in SUFFIXES or not path.suffix or path.suffix[1:].isdigit()


def _stem(member: str) -> str:
    folder, _, name = member.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def _folder(folder: Path) -> list[Item]:
    manifest = folder / FOLDER_MANIFEST
    if not manifest.is_file():
        return [Item(str(path)) for path in list_images(folder)]
    listed = _manifest(manifest)
    known = {Path(item.path) for item in listed}
    try:
        return [*listed, *(Item(str(path)) for path in list_images(folder) if path not in known)]
    except InputError:  # the manifest's images lie elsewhere
        return listed


def _manifest(csv: Path) -> list[Item]:
    return manifest_items(read_table(csv), csv.parent)
