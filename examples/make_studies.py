"""Make three DICOM studies of one child who never was, from the mean hands of this folder.

    python examples/make_studies.py studies
    boneage-roi predict studies --report studies/reports --dicom studies/dicom --fhir studies/fhir

The three hands are averages of many girls, and what the headers say of the child is made up.
"""

import sys
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import cv2
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

HERE = Path(__file__).parent
STUDIES = (
    ("girl-7y.png", "20180312", "1.21"),
    ("girl-10y.png", "20200915", "1.39"),
    ("girl-12y6m.png", "20220704", "1.53"),
)
"""Image, day and height in metres."""


def uid(*parts: str) -> str:
    """A UID that the same parts always give."""
    return f"2.25.{uuid5(NAMESPACE_URL, '/'.join(parts)).int}"


def study(image: str, day: str, height: str) -> Dataset:
    """A computed radiograph with a header as an archive has it."""
    pixels = cv2.imread(str(HERE / image), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise SystemExit(f"{HERE / image}: not there")
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = (
        uid("boneage-roi example", kind, day) for kind in ("image", "series", "study")
    )
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = day, "101500", day, f"EX{day}"
    dataset.Modality, dataset.Manufacturer, dataset.ReferringPhysicianName = "CR", "boneage-roi example", ""
    dataset.PatientName, dataset.PatientID = "Example^Girl", "EXAMPLE-1"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientSize = "20110620", "F", height
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.BodyPartExamined, dataset.ViewPosition, dataset.Laterality = "HAND", "PA", "L"
    dataset.PatientOrientation = ["", ""]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def main(folder: Path) -> None:
    """Write the studies."""
    folder.mkdir(parents=True, exist_ok=True)
    for image, day, height in STUDIES:
        path = folder / f"{day}.dcm"
        study(image, day, height).save_as(path, enforce_file_format=True)
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "studies"))
