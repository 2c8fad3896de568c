"""Opening an exported network, and running it within bounds."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
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

PROVIDERS: dict[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
}
"""What networks may run on, and what ONNX Runtime calls it. Which of them there are depends on its package."""


@dataclass(frozen=True)
class Execution:
    """How networks run.

    Attributes:
        threads: how many a network may use on the CPU; None is one a core.
        provider: a name in :data:`PROVIDERS`. What it cannot do, and all when it does not start, runs on the CPU.
    """

    threads: int | None = None
    provider: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse a provider that this ONNX Runtime does not have."""
        if self.provider not in (available := available_providers()):
            known = "is not in this ONNX Runtime" if self.provider in PROVIDERS else "is unknown"
            raise InputError(f"provider {self.provider!r} {known}; available are {', '.join(available)}")


def available_providers() -> tuple[str, ...]:
    """What the ONNX Runtime that is installed was built with, by the names of :data:`PROVIDERS`.

    >>> "cpu" in available_providers()
    True
    """
    built = onnxruntime.get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider in built)


ON_CPU = Execution()

_WARNINGS, _SILENT = 2, 4  # of ONNX Runtime's log; the first is what it begins with


def open_session(
    path: Path, execution: Execution = ON_CPU, *, also: Sequence[str] = ()
) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session.

    Args:
        execution: where the network runs. A provider that does not start is told once, and the CPU takes its place.
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
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = execution.threads or 0
    # Idle threads that spin take the cores from other sessions and programs, and win next to nothing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(LARGEST_CONSTANT))
    if execution.provider != "cpu" and (session := _open_on(execution.provider, data, options)) is not None:
        return session
    try:
        return onnxruntime.InferenceSession(data, options, providers=[PROVIDERS["cpu"]])
    except Exception as error:  # onnxruntime raises a family of its own exceptions without a common base
        raise InputError(f"{path}: not a readable ONNX network ({_reason(error)}); export the bundle again") from None


def _open_on(provider: str, data: bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession | None:
    """A session on a provider, with the CPU for what it cannot do; None, and a word, when it does not start."""
    onnxruntime.set_default_logger_severity(_SILENT)  # a provider's start is many lines on stderr
    try:  # its own fallback prints to stdout
        session = onnxruntime.InferenceSession(
            data, options, providers=[PROVIDERS[provider], PROVIDERS["cpu"]], enable_fallback=False
        )
    except Exception as error:
        _tell_fallback(provider, _reason(error))
        return None
    finally:
        onnxruntime.set_default_logger_severity(_WARNINGS)
    if PROVIDERS[provider] not in session.get_providers():  # left out without a word
        _tell_fallback(provider, "ONNX Runtime left it out; its driver or libraries may be missing")
        return None
    return session


@cache
def _tell_fallback(provider: str, reason: str) -> None:
    """Say once that the CPU takes the place of a provider."""
    logging.getLogger(__name__).warning("provider %s does not start (%s); networks run on the CPU", provider, reason)


class Network:
    """An exported network whose answers are numbers of the shape that its stage knows.

    Args:
        path: the network.
        stage: "the detector", for messages.
        execution: where it runs.
        also: tensors inside the network that it gives too, see :func:`boneage_roi.onnx_check.tensor_names`.
    """

    def __init__(self, path: Path, stage: str, execution: Execution = ON_CPU, *, also: Sequence[str] = ()) -> None:
        self._session = open_session(path, execution, also=also)
        self._stage = stage
        self.inputs: tuple[str, ...] = tuple(value.name for value in self._session.get_inputs())

    @property
    def provider(self) -> str:
        """What it runs on, a name in :data:`PROVIDERS`."""
        first = self._session.get_providers()[0]
        return next(name for name, provider in PROVIDERS.items() if provider == first)

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

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels of the images that are its first input.

        Raises:
            InputError: it says none, or one that no network needs.
        """
        *_, height, width = self._session.get_inputs()[0].shape or [None, None]
        if not all(isinstance(side, int) and 1 <= side <= LARGEST_INPUT for side in (height, width)):
            raise InputError(f"{self._stage} has an input of {height} x {width} pixels; the bundle is damaged")
        return int(height), int(width)

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
