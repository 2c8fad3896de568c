"""The content of the DICOM structured report: TID 1500 with a TID 1501 group for the bone age and one a region.

Every coded concept that DICOM, SNOMED CT or LOINC have is theirs; the others are of the private coding scheme
:data:`SCHEME`, which every report declares.
"""

from collections.abc import Iterator

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    MeasurementProperties,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    MeasurementStatisticalProperties,
    NormalRangeProperties,
    NumContentItem,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TrackingIdentifier,
)
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from boneage_roi import __version__
from boneage_roi.growth import AdultHeight, Finding, Relation, growth_table
from boneage_roi.outputs.dicom_source import stable_uid
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.values import Analysis, RegionBox

SCHEME = "99BONEAGEROI"

MONTH, ONE, PERCENT = codes.UCUM.Month, codes.UCUM.NoUnits, codes.UCUM.Percent
CENTIMETRE = codes.UCUM.Centimeter

PROCEDURE = Code("37362-1", "LN", "XR Bone age")
BONE_AGE = Code("85151-9", "LN", "Bone age")
DIFFERENCE = Code("difference", SCHEME, "Bone age minus chronological age")
REGION_AGE = Code("region-age", SCHEME, "Age that one region says")
INTERVAL_LOW = Code("interval-lower", SCHEME, "Lower end of the 90 % prediction interval")
INTERVAL_HIGH = Code("interval-upper", SCHEME, "Upper end of the 90 % prediction interval")
ADULT_HEIGHT = Code("adult-height", SCHEME, "Predicted adult height")
DETERMINATION = Code("determination", SCHEME, "Determination of the bone age")
QUALIFICATION = Code("qualification", SCHEME, "Content qualification")
FLAG = Code("flag", SCHEME, "Quality flag")
METHOD = Code("automated-gp", SCHEME, "Automated, on the Greulich-Pyle scale")
BAYLEY_PINNEAU = Code("bayley-pinneau", SCHEME, "Bayley and Pinneau, from Greulich-Pyle bone age")
REGION = Code("region", SCHEME, "Region that the bone age was read from")

DETERMINATIONS = {
    name: Code(name, SCHEME, f"{name.capitalize()} bone age")
    for name in ("delayed", "normal", "advanced", "indeterminate")
}
NORMALITY = {
    "delayed": codes.SCT.AbnormallyLow,
    "normal": codes.SCT.Normal,
    "advanced": codes.SCT.AbnormallyHigh,
    "indeterminate": codes.SCT.NormalityUndetermined,
}
SITES = {
    "hand": codes.SCT.Hand,
    "radius-ulna": codes.SCT.RadiusAndUlna,
    "carpal": codes.SCT.WristJoint,
    "metacarpal": codes.SCT.Metacarpal,
}
"""Where a region is; the others are in the hand."""

SIDES = {"L": codes.SCT.Left, "R": codes.SCT.Right}


def report_content(finding: Finding, analysis: Analysis, source: Dataset, bundle: Bundle) -> MeasurementReport:
    """The content tree of a finding.

    Args:
        finding: what is reported.
        analysis: where the regions are.
        source: the header of the radiograph, complete as
            :func:`boneage_roi.outputs.dicom_source.read_source` makes it.
        bundle: what read it.
    """
    program = AlgorithmIdentification(
        "boneage-roi", __version__, [f"bundle {bundle.manifest.name}", f"manifest SHA-256 {bundle.fingerprint}"]
    )
    device = ObserverContext(
        codes.DCM.Device,
        DeviceObserverIdentifyingAttributes(
            stable_uid("device", __version__), name="boneage-roi", model_name="boneage-roi", serial_number=__version__
        ),
    )
    groups: list[MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations] = [
        _bone_age_group(finding, source, program),
        *_region_groups(finding, source, program),
        *_box_groups(finding, analysis, source, program),
    ]

    def report(library: list[Dataset] | None) -> MeasurementReport:
        return MeasurementReport(
            observation_context=ObservationContext(observer_device_context=device),
            procedure_reported=PROCEDURE,
            imaging_measurements=groups,
            title=codes.DCM.ImagingMeasurementReport,
            referenced_images=library,
        )

    try:
        return report([source])
    except (AttributeError, TypeError, ValueError):  # an image library tells of spacing and view, which old files lack
        return report(None)


def _bone_age_group(
    finding: Finding, source: Dataset, program: AlgorithmIdentification
) -> MeasurementsAndQualitativeEvaluations:
    """TID 1501: the fused bone age, and what follows from it."""
    age, relation = finding.bone_age, finding.relation
    numbers = [
        (INTERVAL_LOW, age.lower, MONTH),
        (INTERVAL_HIGH, age.upper, MONTH),
        (codes.DCM.SubjectAge, relation.chronological_age_months, MONTH),
        (DIFFERENCE, relation.difference_months, MONTH),
        (codes.DCM.ZScoreOfMeasurement, relation.sds, ONE),
    ]
    measurements = [
        Measurement(BONE_AGE, _number(age.months), MONTH, method=METHOD, properties=_properties(finding)),
        *(Measurement(name, _number(value), unit) for name, value, unit in numbers if value is not None),
        *_height(finding.adult_height),
    ]
    flags = [Code(f"flag-{place}", SCHEME, flag[:64]) for place, flag in enumerate(age.flags, 1)]
    evaluations = [
        QualitativeEvaluation(DETERMINATION, DETERMINATIONS[relation.determination]),
        QualitativeEvaluation(QUALIFICATION, Code("research", SCHEME, "Research use, not a medical device")),
        *(QualitativeEvaluation(FLAG, flag) for flag in flags),
    ]
    return MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(stable_uid("bone age", source.SOPInstanceUID), "Bone age"),
        finding_type=BONE_AGE,
        algorithm_id=program,
        finding_sites=[_site("hand", finding)],
        measurements=measurements,
        qualitative_evaluations=evaluations,
        source_images=[SourceImageForMeasurementGroup.from_source_image(source)],
    )


def _properties(finding: Finding) -> MeasurementProperties:
    """TID 310: uncertainty, and the population that the bone age is held against."""
    age, relation = finding.bone_age, finding.relation
    properties = MeasurementProperties(
        normality=NORMALITY[relation.determination],
        measurement_statistical_properties=_population(relation),
        normal_range_properties=_normal_range(relation),
    )
    for name, value in (
        (codes.SCT.RangeOfUpperMeasurementUncertainty, age.upper - age.months),
        (codes.SCT.RangeOfLowerMeasurementUncertainty, age.months - age.lower),
    ):
        properties.append(_property(name, value, MONTH))
    return properties


def _population(relation: Relation) -> MeasurementStatisticalProperties | None:
    if relation.mean is None or relation.sd is None or relation.sds is None:
        return None
    values = [
        _property(codes.SCT.MeanValueOfPopulation, relation.mean, MONTH),
        _property(codes.DCM.StandardDeviationOfPopulation, relation.sd, MONTH),
        _property(codes.DCM.ZScoreOfMeasurement, relation.sds, ONE),
    ]
    table = growth_table(relation.table)
    described = f"Healthy children of this age and sex: {table.title}"
    return MeasurementStatisticalProperties(values, described, table.source)


def _normal_range(relation: Relation) -> NormalRangeProperties | None:
    if relation.normal_range is None:
        return None
    low, high = relation.normal_range
    values = [
        _property(codes.cid223.NormalRangeLowerLimit, low, MONTH),
        _property(codes.cid223.NormalRangeUpperLimit, high, MONTH),
    ]
    table = growth_table(relation.table)
    return NormalRangeProperties(values, "Two standard deviations around the mean", table.title)


def _property(name: Code, value: float, unit: Code) -> NumContentItem:
    return NumContentItem(name, _number(value), unit, relationship_type=RelationshipTypeValues.HAS_PROPERTIES)


def _height(grown: AdultHeight | None) -> Iterator[Measurement]:
    if grown is not None and grown.height_cm is not None:
        yield Measurement(ADULT_HEIGHT, _number(grown.height_cm), CENTIMETRE, method=BAYLEY_PINNEAU)


def _region_groups(
    finding: Finding, source: Dataset, program: AlgorithmIdentification
) -> Iterator[MeasurementsAndQualitativeEvaluations]:
    """TID 1501: the age that each region says, with the spread of its distribution."""
    for reading in finding.bone_age.readings:
        spread = _property(codes.DCM.StandardDeviation, reading.spread, MONTH)
        measurement = Measurement(REGION_AGE, _number(reading.expected_age), MONTH, method=METHOD)
        measurement[0].ContentSequence.append(spread)
        yield MeasurementsAndQualitativeEvaluations(
            TrackingIdentifier(stable_uid(reading.region, source.SOPInstanceUID), reading.region),
            finding_type=REGION,
            algorithm_id=program,
            finding_sites=[_site(reading.region, finding)],
            measurements=[measurement],
            source_images=[SourceImageForMeasurementGroup.from_source_image(source)],
        )


def _box_groups(
    finding: Finding, analysis: Analysis, source: Dataset, program: AlgorithmIdentification
) -> Iterator[PlanarROIMeasurementsAndQualitativeEvaluations]:
    """TID 1410: each region box as an image region, with the detector's confidence."""
    for place, box in enumerate(analysis.boxes, 1):
        region = ImageRegion(
            GraphicTypeValues.POLYLINE,
            box_outline(box, analysis, source),
            SourceImageForRegion.from_source_image(source),
        )
        yield PlanarROIMeasurementsAndQualitativeEvaluations(
            TrackingIdentifier(stable_uid(f"box {place}", source.SOPInstanceUID), f"{box.region} {place}"),
            referenced_region=region,
            finding_type=REGION,
            algorithm_id=program,
            finding_sites=[_site(box.region, finding)],
            measurements=[Measurement(codes.DCM.CertaintyOfFeature, _number(100 * box.confidence), PERCENT)],
        )


def box_outline(box: RegionBox, analysis: Analysis, source: Dataset) -> NDArray[np.float64]:
    """The corners of a box in the stored image, closed: float64 (5, 2), (column, row).

    The first pixel's top left corner is (0, 0), as PS3.3 C.18.6 has it. Stored rows and columns may lie differently
    far apart, and the radiograph then was made square.
    """
    left, top, right, bottom = box.box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]], np.float64)
    height, width = analysis.radiograph.pixels.shape
    stored = np.array([source.Columns, source.Rows], np.float64)
    points = (analysis.frame.to_radiograph(corners) + 0.5) * stored / (width, height)
    return np.asarray(np.clip(points, 0, stored))


def _site(region: str, finding: Finding) -> FindingSite:
    side = SIDES.get(finding.laterality or "")
    return FindingSite(SITES.get(region, codes.SCT.Hand), laterality=side)


def _number(value: float) -> float:
    return round(float(value), 2)
