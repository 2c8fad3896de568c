"""Write the networks of a bundle again as they are exported today, with their paddings as numbers; no age changes.

    python benchmarks/fix_padding.py boneage_roi/bundles/default

A training's own bundle has them so already. See :func:`boneage_roi.learning.onnx_export.fix_padding`.
"""

from pathlib import Path

import onnx

from boneage_roi.learning.onnx_export import fix_padding, write_onnx
from boneage_roi.pipeline.bundle import Bundle, write_bundle_manifest


def main(bundle: Path) -> None:
    """Rework a bundle in place."""
    opened = Bundle.load(bundle)
    manifest = opened.manifest
    files = [network.file for network in manifest.networks]
    files += [] if manifest.aspect is None else [manifest.aspect.file]
    for name in (manifest.segmenter.file, *files):
        path = bundle / name
        model = onnx.load(str(path))
        before = len(model.graph.node)
        fix_padding(model)
        print(f"{name}: {before} steps, now {len(model.graph.node)}")
        if len(model.graph.node) < before:
            write_onnx(model, path)
    fields = manifest.model_dump(mode="json", exclude={"created", "package_version", "files"})
    write_bundle_manifest(bundle, **fields)
    Bundle.load(bundle)


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
