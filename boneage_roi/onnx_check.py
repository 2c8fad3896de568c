"""What an ONNX file may hold: read from its protocol buffers, before a runtime opens it.

A network is data, but some of its operators can loop without end, and its weights may lie in other files. Only what
exported networks use is let through. Field numbers are those of ``onnx.proto3``.
"""

from collections.abc import Iterator

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

LARGEST_SIDE = 10**6
"""A whole number in a network that is larger than this could ask for a tensor that fills the memory."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GRAPH, _FUNCTIONS = 7, 25  # ModelProto
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # GraphProto
_ATTRIBUTE, _OPERATOR = 5, 4  # NodeProto
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _SPARSE_TENSOR, _SPARSE_TENSORS = 5, 6, 10, 11, 22, 23  # AttributeProto
_DIMS, _TYPE, _INT64S, _RAW, _EXTERNAL, _LOCATION = 1, 2, 7, 9, 13, 14  # TensorProto
_INT64 = 7


def check_network(data: bytes) -> None:
    """Refuse a network that could do more than compute.

    Raises:
        InputError: it is no ONNX network, has an unknown operator, a graph within a graph, weights in another file,
            or numbers of a size that no network needs.
    """
    try:
        graphs = [value for field, value in _fields(data) if field == _GRAPH]
        if len(graphs) != 1 or not isinstance(graphs[0], bytes):
            raise InputError("not a readable ONNX network (no graph)")
        if any(field == _FUNCTIONS for field, _ in _fields(data)):
            raise InputError("a network with functions of its own")
        _check_graph(graphs[0])
    except (IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("not a readable ONNX network (damaged)") from None


def _check_graph(graph: bytes) -> None:
    for field, value in _fields(graph):
        if field == _NODE and isinstance(value, bytes):
            _check_node(value)
        elif field == _INITIALIZER and isinstance(value, bytes):
            _check_tensor(value)
        elif field == _SPARSE:
            raise InputError("a network with sparse weights")


def _check_node(node: bytes) -> None:
    for field, value in _fields(node):
        if field == _OPERATOR and isinstance(value, bytes) and value.decode("ascii", "replace") not in OPERATORS:
            raise InputError(f"a network with the operator {value[:40].decode('ascii', 'replace')!r}, which none needs")
        if field == _ATTRIBUTE and isinstance(value, bytes):
            for kind, content in _fields(value):
                if kind in (_SUBGRAPH, _SUBGRAPHS, _SPARSE_TENSOR, _SPARSE_TENSORS):
                    raise InputError("a network with a graph or sparse weights inside an operator")
                if kind in (_TENSOR, _TENSORS) and isinstance(content, bytes):
                    _check_tensor(content)


def _check_tensor(tensor: bytes) -> None:
    kind, whole = 0, b""
    for field, value in _fields(tensor):
        if field == _EXTERNAL or (field == _LOCATION and value):
            raise InputError("a network whose weights lie in another file")
        if field == _TYPE and isinstance(value, int):
            kind = value
        elif field == _RAW and isinstance(value, bytes):
            whole = value
        elif field == _INT64S and isinstance(value, bytes):
            _check_sizes(_varints(value))
        elif field == _DIMS:
            _check_sizes(_varints(value) if isinstance(value, bytes) else iter((value,)))
    if kind == _INT64:
        _check_sizes(int.from_bytes(whole[at : at + 8], "little", signed=True) for at in range(0, len(whole), 8))


def _check_sizes(numbers: Iterator[int]) -> None:
    # Slices end at the largest number that there is, which asks for nothing.
    ends = (2**63 - 1, 2**31 - 1)
    if any(number > LARGEST_SIDE and number not in ends for number in numbers):
        raise InputError("a network with a number of a size that none needs")


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a message: number and content."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield field, value
        elif wire == _BYTES:
            length, at = _varint(message, at)
            if at + length > end:
                raise ValueError("cut")
            yield field, message[at : at + length]
            at += length
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
            yield field, message[at : at + length]
            at += length
        else:
            raise ValueError("unknown wire type")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return (value if value < 2**63 else value - 2**64), at
        shift += 7
        if shift > 63:
            raise ValueError("too long")


def _varints(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value
