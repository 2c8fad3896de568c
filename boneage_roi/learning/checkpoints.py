"""Reading the checkpoints of a training: tensors, numbers and texts, never code."""

import pickle
from pathlib import Path
from typing import Any

import torch

from boneage_roi.errors import InputError


def load_tensors(path: Path) -> dict[str, Any]:
    """A checkpoint without running anything that it holds.

    Raises:
        InputError: the file was cut, is no checkpoint, or asks for more than tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError):
        raise InputError(_foreign(path)) from None
    if not isinstance(content, dict):
        raise InputError(_foreign(path))
    return content


def _foreign(path: Path) -> str:
    return f"{path}: not a checkpoint of this training, or a damaged one; delete it, and its stage starts over"
