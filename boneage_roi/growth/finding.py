"""The finding: a bone age and all that follows from it."""

from dataclasses import dataclass
from datetime import date

from boneage_roi.growth.comparison import Comparison, Study
from boneage_roi.growth.height import AdultHeight, adult_height
from boneage_roi.growth.relation import Relation, relate
from boneage_roi.values import BoneAge, Laterality, Radiograph


@dataclass(frozen=True, eq=False)
class Finding:
    """What a radiologist would say of one radiograph.

    Attributes:
        bone_age: as it was read.
        relation: how it stands to the chronological age.
        adult_height: None when the present height is not known.
        height_cm: present standing height, or None.
        study_date: day of the radiograph, or None.
        laterality: which hand, or None.
        comparison: with other studies of the same child; None when there is none.
    """

    bone_age: BoneAge
    relation: Relation
    adult_height: AdultHeight | None = None
    height_cm: float | None = None
    study_date: date | None = None
    laterality: Laterality | None = None
    comparison: Comparison | None = None

    @classmethod
    def of(
        cls,
        bone_age: BoneAge,
        radiograph: Radiograph | None = None,
        *,
        height_cm: float | None = None,
        table: str = "brush-foundation",
    ) -> "Finding":
        """What follows from a bone age.

        Args:
            bone_age: as a reader gave it; its chronological age is the one that counts.
            radiograph: tells height, study date and side where it knows them.
            height_cm: standing height on the day of the radiograph; None takes the radiograph's.
            table: a name of :data:`boneage_roi.growth.GROWTH_TABLES`.

        Raises:
            InputError: the height is no height, or there is no such table.

        Example:
            >>> finding = Finding.of(BoneAge(150, 140, 160, "M", (), "toy", chronological_age=120), height_cm=140)
            >>> finding.relation.words
            'advanced, but the 90 % interval includes normal'
            >>> finding.adult_height.words
            '169.1 cm (161.5 to 176.0)'
        """
        age, lower, upper, sex = bone_age.months, bone_age.lower, bone_age.upper, bone_age.sex
        chronological = bone_age.chronological_age
        height = height_cm if height_cm is not None or radiograph is None else radiograph.height_cm
        grown = None if height is None else adult_height(height, age, chronological, sex, lower=lower, upper=upper)
        return cls(
            bone_age,
            relate(age, lower, upper, chronological, sex, table),
            grown,
            height,
            None if radiograph is None else radiograph.study_date,
            None if radiograph is None else radiograph.laterality,
        )

    @property
    def study(self) -> Study:
        """Itself as one study of a child, for :func:`boneage_roi.growth.compare`."""
        age = self.bone_age
        return Study(age.months, age.lower, age.upper, self.study_date, age.chronological_age)
