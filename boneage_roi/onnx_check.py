"""What an ONNX file may hold: read from its protocol buffers, before a runtime opens it.

A network is data, but some of its operators can loop without end, and its weights may lie in other files. Only what
exported networks use is let through. Field numbers are those of ``onnx.proto3``.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from boneage_roi.errors import InputError

_NAMES = """
Abs Add And ArgMax AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv ConvTranspose
Cos DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand Flatten Floor
Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample
GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Less
LessOrEqual Log LogSoftmax LRN MatMul MatMulInteger Max MaxPool Min Mod Mul Neg Not NonZero Or PRelu Pad Pow
QLinearConv QLinearMatMul QuantizeLinear Range Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd
ReduceSum Relu Reshape Resize Selu Shape Sigmoid Sign Sin Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub
Sum Tanh Tile TopK Transpose Unsqueeze Where TreeEnsembleRegressor LinearRegressor Scaler SVMRegressor Normalizer
"""
OPERATORS = frozenset(_NAMES.split())
"""All that exported networks use; none holds a graph of its own, so that none can loop."""

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""The standard's own sets of operators; one of another set may do anything under a known name."""

LARGEST_SIDE = 10**6
"""A whole number in a network that is larger than this asks for a tensor that no network needs."""

ENDS = (2**63 - 1, 2**31 - 1)
"""Slices end at the largest number that there is, which asks for nothing."""

SHORT = 64
"""Bytes of an attribute that is looked at once, however often it comes."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GRAPH, _FUNCTIONS = 7, 25  # ModelProto
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # GraphProto
_RESULT, _OPERATOR, _ATTRIBUTE, _DOMAIN = 2, 4, 5, 7  # NodeProto
_OUTPUT, _NAME = 12, 1  # GraphProto, ValueInfoProto
_INT, _TENSOR, _SUBGRAPH, _INTS, _TENSORS, _SUBGRAPHS, _SPARSE_TENSOR, _SPARSE_TENSORS = 3, 5, 6, 8, 10, 11, 22, 23
_DIMS, _TYPE, _INT64S, _RAW, _EXTERNAL, _LOCATION = 1, 2, 7, 9, 13, 14  # TensorProto
_INT64 = 7
_FRACTIONS = (1, 10, 11)  # of 32, 16 and 64 bits

_Field = tuple[int, int, int, int]
"""Number, wire type, and where the content begins and ends; a whole number stands in place of both."""


def check_network(data: bytes) -> None:
    """Refuse a network that could do more than compute.

    Raises:
        InputError: it is no ONNX network, has an unknown operator, a graph within a graph, functions of its own, sparse
            weights, weights in another file, or numbers of a size that no network needs.
    """
    try:
        graphs = []
        for field, wire, begin, end in _fields(data, 0, len(data)):
            if field == _FUNCTIONS:
                raise InputError("a network with functions of its own")
            if field == _GRAPH:
                graphs.append((wire, begin, end))
        if len(graphs) != 1 or graphs[0][0] != _BYTES:
            raise InputError("not a readable ONNX network (no graph)")
        _check_graph(data, *graphs[0][1:])
    except (IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("not a readable ONNX network (damaged)") from None


def tensor_names(data: bytes) -> tuple[str, ...]:
    """The tensors that the nodes of a network give, by name and in order; :func:`check_network` has passed it."""
    graphs = (place for field, _, *place in _fields(data, 0, len(data)) if field == _GRAPH)
    nodes = (place for graph in graphs for field, _, *place in _fields(data, *graph) if field == _NODE)
    names = (place for node in nodes for field, _, *place in _fields(data, *node) if field == _RESULT)
    return tuple(data[begin:end].decode("utf-8", "replace") for begin, end in names)


def parameters(data: bytes) -> int:
    """How many numbers a network has learnt: those of its weights; :func:`check_network` has passed it."""
    count = 0
    for field, _, *graph in _fields(data, 0, len(data)):
        if field != _GRAPH:
            continue
        for inside, wire, *weights in _fields(data, *graph):
            if inside == _INITIALIZER and wire == _BYTES:
                count += _weights(data, *weights)
    return count


def _weights(data: bytes, begin: int, end: int) -> int:
    """How many numbers a tensor of fractions holds; 0 for one of whole numbers, which only say shapes."""
    sides, kind = [], 0
    for field, wire, first, last in _fields(data, begin, end):
        if field == _TYPE and wire == _VARINT:
            kind = first
        elif field == _DIMS:
            sides += list(_numbers(data, wire, first, last))
    return int(np.prod(sides, dtype=np.int64)) if kind in _FRACTIONS else 0


def with_outputs(data: bytes, names: Sequence[str]) -> bytes:
    """A network that also gives out tensors inside it.

    Protocol buffers read a field that comes twice as one merged message, so that the additional outputs are appended as
    a second piece of the graph; nothing of the file is read or changed.
    """
    pieces = b"".join(_piece(_OUTPUT, _piece(_NAME, name.encode())) for name in names)
    return data + _piece(_GRAPH, pieces) if pieces else data


def _piece(field: int, content: bytes) -> bytes:
    """A field whose content has a length."""
    length, size = bytearray(), len(content)
    while size >= 128:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([field << 3 | _BYTES, *length, size]) + content


def _check_graph(data: bytes, begin: int, end: int) -> None:
    for field, wire, first, last in _fields(data, begin, end):
        if field == _SPARSE:
            raise InputError("a network with sparse weights")
        if wire == _BYTES:
            if field == _NODE:
                _check_node(data, first, last)
            elif field == _INITIALIZER:
                _check_tensor(data, first, last)


def _check_node(data: bytes, begin: int, end: int) -> None:
    for field, wire, first, last in _fields(data, begin, end):
        if wire != _BYTES:
            continue
        if field == _ATTRIBUTE:
            if last - first < SHORT:
                _check_short_attribute(data[first:last])
            else:
                _check_attribute(data, first, last)
        elif field == _OPERATOR and (name := _word(data, first, last)) not in OPERATORS:
            raise InputError(f"a network with the operator {name!r}, which none needs")
        elif field == _DOMAIN and (name := _word(data, first, last)) not in DOMAINS:
            raise InputError(f"a network with an operator of {name!r}, which none needs")


@lru_cache(2048)
def _check_short_attribute(attribute: bytes) -> None:
    """The same few attributes come thousands of times."""
    _check_attribute(attribute, 0, len(attribute))


def _check_attribute(data: bytes, begin: int, end: int) -> None:
    for field, wire, first, last in _fields(data, begin, end):
        if field in (_SUBGRAPH, _SUBGRAPHS, _SPARSE_TENSOR, _SPARSE_TENSORS):
            raise InputError("a network with a graph or sparse weights inside an operator")
        if field in (_TENSOR, _TENSORS):
            if wire == _BYTES:
                _check_tensor(data, first, last)
        elif field in (_INT, _INTS):
            _check_sizes(_numbers(data, wire, first, last))


def _check_tensor(data: bytes, begin: int, end: int) -> None:
    kind, raw = 0, (0, 0)
    for field, wire, first, last in _fields(data, begin, end):
        if field == _EXTERNAL or (field == _LOCATION and (wire != _VARINT or first)):
            raise InputError("a network whose weights lie in another file")
        if field == _TYPE and wire == _VARINT:
            kind = first
        elif field == _RAW and wire == _BYTES:
            raw = (first, last)
        elif field == _DIMS and wire == _VARINT:
            _check_sizes((first,))
        elif field in (_DIMS, _INT64S):
            _check_sizes(_numbers(data, wire, first, last))
    if kind == _INT64:
        numbers = np.frombuffer(data, "<i8", (raw[1] - raw[0]) // 8, raw[0])
        _check_sizes(numbers.tolist() if len(numbers) < 64 else numbers[numbers > LARGEST_SIDE].tolist())


def _check_sizes(numbers: Iterable[int]) -> None:
    for number in numbers:
        if number > LARGEST_SIDE and number not in ENDS:
            raise InputError("a network with a number of a size that none needs")


def _word(data: bytes, begin: int, end: int) -> str:
    """A name, or its start when it is long."""
    return data[begin : min(end, begin + 40)].decode("ascii", "replace")


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    """The fields of the message that lies between two places of ``data``."""
    while at < end:
        key, at = (data[at], at + 1) if data[at] < 128 else _varint(data, at)
        wire = key & 7
        if wire == _BYTES:
            length, at = (data[at], at + 1) if data[at] < 128 else _varint(data, at)
            begin, at = at, at + length
        elif wire == _VARINT:
            begin, at = (data[at], at + 1) if data[at] < 128 else _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
            begin, at = at, at + length
        else:
            raise ValueError("unknown wire type")
        # Parsers take no more than 32 bits of a key or a length; what they would cut off is no network.
        if at > end or key >= 2**32 or (wire == _BYTES and not 0 <= length < 2**31):
            raise ValueError("cut")
        yield key >> 3, wire, begin, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A whole number of 64 bits with a sign, and where the next field begins."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            value &= 2**64 - 1
            return (value if value < 2**63 else value - 2**64), at
        shift += 7
        if shift > 63:
            raise ValueError("too long")


def _numbers(data: bytes, wire: int, begin: int, end: int) -> Iterator[int]:
    """The whole numbers of a field: one, or many that are packed."""
    if wire == _VARINT:
        yield begin
    elif wire == _BYTES:
        while begin < end:
            number, begin = _varint(data, begin)
            yield number
