"""Opening an exported network, and running it within bounds."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime

from boneage_roi.errors import InputError
from boneage_roi.onnx_check import check_network, with_outputs
from boneage_roi.values import FloatArray

MOST_MEMORY = 4 * 2**30
"""Bytes that all networks of a process may take together on up to four cores, and a quarter of it more for each further
core, on which another hand may be read at the same time. Reading one hand takes less than 300 MB."""

LARGEST_CONSTANT = 64 * 2**20
"""Bytes of a tensor that is worked out when a network is opened; a larger one waits until it runs, within the bound."""

LARGEST_INPUT = 4096
"""Pixels a side of a network's input; more would fill the memory before the network runs."""


def open_session(path: Path, threads: int | None = None, *, also: Sequence[str] = ()) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU.

    Args:
        threads: how many a network may use; None is one a core.
        also: tensors inside the network that become outputs too, see :func:`boneage_roi.onnx_check.tensor_names`.

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
    data = with_outputs(data, also)
    _bound_memory()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or 0
    # Idle threads that spin take the cores from other sessions and programs, and win next to nothing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(LARGEST_CONSTANT))
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a family of its own exceptions without a common base
        raise InputError(f"{path}: not a readable ONNX network ({_reason(error)}); export the bundle again") from None


class Network:
    """An exported network whose answers are numbers of the shape that its stage knows.

    Args:
        path: the network.
        stage: "the detector", for messages.
        threads: how many it may use; None is one a core.
        also: tensors inside the network that it gives too, see :func:`boneage_roi.onnx_check.tensor_names`.
    """

    def __init__(self, path: Path, stage: str, threads: int | None = None, *, also: Sequence[str] = ()) -> None:
        self._session = open_session(path, threads, also=also)
        self._stage = stage
        self.inputs: tuple[str, ...] = tuple(value.name for value in self._session.get_inputs())

    @property
    def side(self) -> int:
        """Pixels a side of the square that is its first input.

        Raises:
            InputError: it says none, or one that no network needs.
        """
        *_, side = self._session.get_inputs()[0].shape or [None]
        if not isinstance(side, int) or not 1 <= side <= LARGEST_INPUT:
            raise InputError(f"{self._stage} has an input of {side} pixels a side; the bundle is damaged")
        return side

    def __call__(
        self, inputs: Mapping[str, FloatArray], shapes: Sequence[tuple[int | None, ...]], names: Sequence[str] = ()
    ) -> list[FloatArray]:
        """Run the network.

        Args:
            inputs: by name; those that it does not have are left out.
            shapes: of its outputs; None where any length will do.
            names: of the outputs; none takes them in the network's order.

        Raises:
            InputError: it cannot be run, takes more memory than there is for it, or gives what is no finite number or
                has another shape.
        """
        known = {name: array for name, array in inputs.items() if name in self.inputs}
        try:
            outputs = self._session.run(list(names) or None, known)
        except Exception as error:
            raise InputError(f"{self._stage} cannot be run ({_reason(error)}); export the bundle again") from None
        for output, shape in zip(outputs, shapes, strict=False):
            if not isinstance(output, np.ndarray) or output.dtype.kind != "f" or not _fits(output.shape, shape):
                raise InputError(f"{self._stage} gave something else than it should; the bundle is damaged")
            if not np.isfinite(output).all():
                raise InputError(
                    f"{self._stage} gave numbers that are not finite; the bundle is damaged, export it again"
                )
        if len(outputs) < len(shapes):
            raise InputError(f"{self._stage} gave something else than it should; the bundle is damaged")
        return list(outputs)


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(length in (None, has) for has, length in zip(found, wanted, strict=True))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


@cache
def _bound_memory() -> None:
    """Give the process's networks one store of memory with an end; without it one of few bytes could take all."""
    cores = max((os.cpu_count() or 1) - 4, 0)
    bounds = onnxruntime.OrtArenaCfg({"max_mem": MOST_MEMORY + cores * MOST_MEMORY // 4})
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    with suppress(Exception):  # the program around this package has given its own
        onnxruntime.create_and_register_allocator(place, bounds)
