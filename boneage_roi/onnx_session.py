"""Opening an exported network."""

from pathlib import Path

import onnxruntime

from boneage_roi.errors import InputError
from boneage_roi.onnx_check import check_network


def open_session(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU.

    Args:
        threads: how many a network may use; None is one a core.

    Raises:
        InputError: the file is missing, is not a network, or holds what :func:`check_network` refuses.
    """
    if not path.is_file():
        raise InputError(f"{path}: network file is missing; the bundle is incomplete")
    data = path.read_bytes()
    try:
        check_network(data)
    except InputError as error:
        raise InputError(f"{path}: {error}; do not use it, or export the bundle again") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    # Idle threads that spin take the cores from other sessions and programs, and win next to nothing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a family of its own exceptions without a common base
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a readable ONNX network ({reason}); export the bundle again") from None
