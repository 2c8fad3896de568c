"""What a bundle is opened with: enough to open it again in another process, and to say what made a row."""

from dataclasses import dataclass

from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.reader import BoneAgeReader


@dataclass(frozen=True)
class ReaderSettings:
    """A bundle and how it is used.

    Attributes:
        bundle: the bundle.
        tta: read each region in all views of the bundle.
        aspect: ``auto`` or ``as-is``, see :func:`boneage_roi.pipeline.reader.load`.
        provider: what runs the networks, see the same.
    """

    bundle: Bundle
    tta: bool = True
    aspect: str = "auto"
    provider: str = "cpu"

    def open(self, threads: int | None = None) -> BoneAgeReader:
        """A reader; ``threads`` is how many a network may use, None is one a core.

        Raises:
            InputError: as :func:`boneage_roi.pipeline.reader.load`.
        """
        return BoneAgeReader(self.bundle, tta=self.tta, aspect=self.aspect, threads=threads, provider=self.provider)

    def __str__(self) -> str:
        """Name and fingerprint of the bundle, and what is not its default: two that say the same read the same ages."""
        manifest = self.bundle.manifest
        believed = manifest.aspect is not None and self.aspect == "as-is"
        others = f"{'' if self.tta else ' without TTA'}{' with the aspect as it is' if believed else ''}"
        others += "" if self.provider == "cpu" else f" on {self.provider}"
        return f"{manifest.name} {self.bundle.fingerprint}{others}"
