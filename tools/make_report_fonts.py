"""Make the fonts of the report: Noto Sans CJK SC with the letters that reports need, as TrueType.

    python tools/make_report_fonts.py /usr/share/fonts/opentype/noto

The folder holds ``NotoSansCJK-Regular.ttc`` and ``NotoSansCJK-Bold.ttc`` (Debian: ``fonts-noto-cjk``; SIL Open Font
License 1.1). Run it again after a message has changed. Needs fontTools and brotli.
"""

import json
import sys
from pathlib import Path

from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont, newTable

REPORT = Path(__file__).parents[1] / "boneage_roi/outputs/report"
ALWAYS = {*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x2010, 0x2027), 0x2212, 0x2264, 0x2265}
STYLES = {"Regular": "regular", "Bold": "bold"}


def wanted() -> set[int]:
    """Code points of every message, and what names and numbers are made of."""
    texts = (path.read_text(encoding="utf-8") for path in (REPORT / "languages").glob("*.json"))
    return ALWAYS | {ord(letter) for text in texts for message in json.loads(text).values() for letter in message}


def as_truetype(font: TTFont) -> None:
    """Turn cubic outlines into quadratic ones, as PDF libraries want them."""
    glyphs = font.getGlyphSet()
    outlines = {}
    for name in font.getGlyphOrder():
        pen = TTGlyphPen(glyphs)
        glyphs[name].draw(Cu2QuPen(pen, max_err=1.0, reverse_direction=True))
        outlines[name] = pen.glyph()
    font["loca"] = newTable("loca")
    table = font["glyf"] = newTable("glyf")
    table.glyphOrder, table.glyphs = font.getGlyphOrder(), outlines
    for name in ("CFF ", "VORG"):
        if name in font:
            del font[name]
    table.compile(font)
    for name, (advance, _) in font["hmtx"].metrics.items():
        font["hmtx"].metrics[name] = advance, getattr(outlines[name], "xMin", 0)
    profile = font["maxp"]
    profile.tableVersion = 0x00010000
    limits = ("maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs", "maxStackElements")
    for field in (*limits, "maxSizeOfInstructions", "maxComponentElements"):
        setattr(profile, field, 0)
    profile.maxZones = 1
    font["post"].formatType, font["post"].extraNames, font["post"].mapping = 3.0, [], {}
    font.sfntVersion = "\x00\x01\x00\x00"


def main(folder: Path) -> None:
    """Write each style as TTF, for PDF, and as WOFF2, for HTML."""
    letters = wanted()
    for style, name in STYLES.items():
        fonts = TTCollection(folder / f"NotoSansCJK-{style}.ttc").fonts
        font = next(one for one in fonts if one["name"].getDebugName(1) == "Noto Sans CJK SC")
        options = Options(layout_features=[], hinting=False, desubroutinize=True, notdef_outline=True, name_IDs=["*"])
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=letters)
        subsetter.subset(font)
        as_truetype(font)
        target = REPORT / "fonts" / f"{name}.ttf"
        font.save(target)
        font.flavor = "woff2"
        font.save(target.with_suffix(".woff2"))
        print(f"{target.name}: {len(font.getBestCmap())} letters, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
