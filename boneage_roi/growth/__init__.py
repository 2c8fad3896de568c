"""From a bone age to what it means: its relation to age, adult height, and change between studies.

Reference tables live here and nowhere else; every result names the one it rests on. Ages are months.
"""

from boneage_roi.ages import chronological_age, parse_age, parse_date
from boneage_roi.growth.comparison import Change, Comparison, Study, compare
from boneage_roi.growth.finding import Finding
from boneage_roi.growth.height import AdultHeight, adult_height
from boneage_roi.growth.relation import Determination, Relation, relate
from boneage_roi.growth.tables import (
    GROWTH_TABLES,
    HEIGHT_TABLES,
    GrowthRow,
    GrowthTable,
    HeightRow,
    HeightTable,
    NoValue,
    growth_table,
    height_table,
)

__all__ = [
    "GROWTH_TABLES",
    "HEIGHT_TABLES",
    "AdultHeight",
    "Change",
    "Comparison",
    "Determination",
    "Finding",
    "GrowthRow",
    "GrowthTable",
    "HeightRow",
    "HeightTable",
    "NoValue",
    "Relation",
    "Study",
    "adult_height",
    "chronological_age",
    "compare",
    "growth_table",
    "height_table",
    "parse_age",
    "parse_date",
    "relate",
]
