"""A finding as FHIR R4: one Bundle with an Observation (LOINC 85151-9) and a DiagnosticReport."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID, uuid5

from boneage_roi import __version__
from boneage_roi.growth import Finding, growth_table
from boneage_roi.outputs.extras import require
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.pictures import picture_names
from boneage_roi.outputs.records import finding_fields, finding_of
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.item import Item

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SERVICE = "http://terminology.hl7.org/CodeSystem/v2-0074"
FIELD = "urn:boneage-roi:record"
"""Code system of components that LOINC has no code for: the names of :data:`boneage_roi.outputs.records.FIELDS`."""

INTERPRETATIONS = {"delayed": ("L", "Low"), "normal": ("N", "Normal"), "advanced": ("H", "High")}

NAMESPACE = UUID("2f1c1bd2-2a37-4dc0-8f4b-3c1f6c0f6a5e")


class FhirSink:
    """One file an outcome with a bone age, ``STEM.json``.

    Args:
        folder: where they go.
        items: all inputs, in order.
        outputs: what may be written.
        bundle: what reads them.
    """

    def __init__(self, folder: Path, items: Iterable[Item], outputs: OutputFiles, bundle: Bundle) -> None:
        self._paths = [folder / f"{name.removesuffix('.png')}.json" for name in picture_names(items)]
        self._outputs = outputs
        self._bundle = bundle
        self._done = 0

    def open(self) -> None:
        """Refuse places where something else lies, and a missing package."""
        require("fhir", "FHIR output", "fhir")
        for path in self._paths:
            self._outputs.claim(path)

    def write(self, outcome: Outcome) -> None:
        """Write the resources of a bone age."""
        path = self._paths[self._done]
        self._done += 1
        resources = fhir_bundle(outcome, self._bundle)
        if resources is not None:
            self._outputs.write(path, json.dumps(resources, indent=2) + "\n")

    def close(self, complete: bool) -> None:
        """Every file is on the disk already."""


def fhir_bundle(outcome: Outcome, bundle: Bundle, file: BinaryIO | None = None) -> dict[str, Any] | None:
    """The resources of an outcome as plain JSON types, validated against FHIR R4; None without a bone age.

    The subject is the patient's identifier where the input has one, without a name. Where the input is a DICOM file,
    both resources refer to its study.
    """
    from fhir.resources.R4B.bundle import Bundle as FhirBundle

    finding = finding_of(outcome)
    if finding is None:
        return None
    patient = None if outcome.analysis is None else outcome.analysis.radiograph.patient
    shared: dict[str, Any] = {"status": "preliminary", "language": "en"}
    if patient:
        shared["subject"] = {"type": "Patient", "identifier": {"value": patient}}
    if finding.study_date:
        shared["effectiveDateTime"] = finding.study_date.isoformat()
    study = _study(outcome, file)
    content = json.dumps([finding_fields(finding), patient, study, bundle.fingerprint])
    observation_url, report_url = (f"urn:uuid:{uuid5(NAMESPACE, kind + content)}" for kind in ("observation", "report"))
    observation = _observation(finding, bundle) | shared
    report = _report(finding, observation_url) | shared
    if study:
        reference = {"type": "ImagingStudy", "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{study}"}}
        observation["derivedFrom"] = [reference]
        report["imagingStudy"] = [reference]
    resources = {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "entry": [
            {"fullUrl": observation_url, "resource": observation},
            {"fullUrl": report_url, "resource": report},
        ],
    }
    FhirBundle.model_validate(resources)
    return resources


def _observation(finding: Finding, bundle: Bundle) -> dict[str, Any]:
    age, relation = finding.bone_age, finding.relation
    device = {
        "resourceType": "Device",
        "id": "reader",
        "deviceName": [{"name": "boneage-roi", "type": "model-name"}],
        "version": [
            {"type": {"text": "software"}, "value": __version__},
            {"type": {"text": "bundle"}, "value": f"{bundle.manifest.name} {bundle.fingerprint}"},
        ],
    }
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "contained": [device],
        "category": [{"coding": [{"system": CATEGORY, "code": "imaging", "display": "Imaging"}]}],
        "code": {"coding": [{"system": LOINC, "code": "85151-9", "display": "Bone age"}]},
        "valueQuantity": _quantity(age.months, "mo"),
        "bodySite": {"coding": [{"system": SNOMED, "code": "85562004", "display": "Hand structure"}]},
        "method": {"text": "Automated, on the Greulich-Pyle scale"},
        "device": {"reference": "#reader"},
        "component": _components(finding),
        "note": [{"text": text} for text in (*age.flags, "Research use, not a medical device")],
    }
    if relation.determination in INTERPRETATIONS:
        code, display = INTERPRETATIONS[relation.determination]
        coding = {"system": INTERPRETATION, "code": code, "display": display}
        observation["interpretation"] = [{"coding": [coding], "text": relation.words}]
    if relation.normal_range:
        low, high = (_quantity(limit, "mo") for limit in relation.normal_range)
        table = growth_table(relation.table)
        text = f"two standard deviations around the mean of the table {table.title}: {table.source}"
        observation["referenceRange"] = [{"low": low, "high": high, "text": text}]
    return observation


def _components(finding: Finding) -> list[dict[str, Any]]:
    age, relation, grown = finding.bone_age, finding.relation, finding.adult_height
    interval = {"low": _quantity(age.lower, "mo"), "high": _quantity(age.upper, "mo")}
    components: list[dict[str, Any]] = [
        _named("interval", "90 % prediction interval") | {"valueRange": interval},
        _named("determination", "Determination") | {"valueCodeableConcept": {"text": relation.determination}},
    ]
    quantities = (
        ("chronological_age_months", "Chronological age", relation.chronological_age_months, "mo"),
        ("difference_months", "Bone age minus chronological age", relation.difference_months, "mo"),
        ("mean_for_age", "Mean bone age for age and sex", relation.mean, "mo"),
        ("sd_for_age", "Standard deviation for age and sex", relation.sd, "mo"),
        ("sds", "Standard deviation score", relation.sds, "1"),
        ("height_cm", "Present height", finding.height_cm, "cm"),
        ("adult_height_cm", "Predicted adult height (Bayley-Pinneau)", grown and grown.height_cm, "cm"),
        *((f"regions.{one.region}", f"Age of the region {one.region}", one.expected_age, "mo") for one in age.readings),
        *((f"plates.{bone.name}", f"Age of the bone {bone.name}", bone.months, "mo") for bone in age.bones),
    )
    for name, text, value, unit in quantities:
        if isinstance(value, int | float):
            components.append(_named(name, text) | {"valueQuantity": _quantity(value, unit)})
    return components


def _report(finding: Finding, observation: str) -> dict[str, Any]:
    age, relation = finding.bone_age, finding.relation
    conclusion = [f"Bone age {age.months:.1f} months (90 % interval {age.lower:.1f} to {age.upper:.1f})."]
    conclusion.append(f"Determination: {relation.words}.")
    if finding.adult_height:
        conclusion.append(f"Adult height: {finding.adult_height.words}.")
    conclusion.append("Research use, not a medical device.")
    return {
        "resourceType": "DiagnosticReport",
        "category": [{"coding": [{"system": SERVICE, "code": "RAD", "display": "Radiology"}]}],
        "code": {"coding": [{"system": LOINC, "code": "37362-1", "display": "XR Bone age"}]},
        "result": [{"reference": observation}],
        "conclusion": " ".join(conclusion),
    }


def _study(outcome: Outcome, file: BinaryIO | None) -> str | None:
    """The study of a DICOM file."""
    if outcome.analysis is None or outcome.analysis.radiograph.patient is None:
        return None
    from boneage_roi.outputs.dicom_source import source_of

    source = source_of(outcome, file)
    return None if source is None else str(source.StudyInstanceUID)


def _named(name: str, text: str) -> dict[str, Any]:
    return {"code": {"coding": [{"system": FIELD, "code": name}], "text": text}}


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": round(float(value), 2), "unit": unit, "system": UCUM, "code": unit}
