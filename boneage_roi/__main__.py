"""``python -m boneage_roi``."""

from boneage_roi.cli import main

if __name__ == "__main__":
    main()
