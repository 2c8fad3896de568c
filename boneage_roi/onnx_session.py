"""Opening an exported network."""

from pathlib import Path

import onnxruntime

from boneage_roi.errors import InputError


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU.

    Raises:
        InputError: the file is missing or is not a network.
    """
    if not path.is_file():
        raise InputError(f"{path}: network file is missing; the bundle is incomplete")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Idle threads that spin take the cores from other sessions and programs, and win next to nothing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a family of its own exceptions without a common base
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a readable ONNX network ({reason}); export the bundle again") from None
