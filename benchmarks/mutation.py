"""Mutation testing: small changes of the package's code, one at a time, each of which its tests should notice.

    uv run --extra train --group test python benchmarks/mutation.py --output docs/reference/mutation.md
    uv run --extra train --group test python benchmarks/mutation.py fusion/intervals detection/runtime

Turns a comparison, an operator, a condition, a number, min and max, leaves a statement or a keyword argument out. The
tests of the module then run in a process of their own, with the changed module in place of the file, which stays as it
is. What no test notices has survived. With ``--output`` the survivors are listed with the reasons that the file gave
for them before, and modules that are not tried now keep what it says of them; a survivor without a reason wants a test,
or a reason.
"""

import ast
import copy
import importlib
import importlib.util
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.script import run_typed  # noqa: E402
from boneage_roi.errors import InputError  # noqa: E402

TARGETS: dict[str, tuple[str, ...]] = {
    "values": ("tests/test_values.py",),
    "onnx_check": (
        *("tests/hostile/test_networks.py", "-k", "not memory"),  # those run in processes of their own
        "tests/explain/test_explain.py::test_more_outputs_leave_the_network_as_it_is",
    ),
    "datasets/splits": ("tests/datasets/test_splits.py",),
    "imaging/frame": ("tests/imaging/test_frame.py",),
    "detection/runtime": ("tests/detection/test_runtime.py",),
    "regional_models/crops": ("tests/regional_models/test_crops.py",),
    "regional_models/dataset": ("tests/regional_models/test_dataset.py",),
    "fusion/features": ("tests/fusion/test_features.py",),
    "fusion/intervals": ("tests/fusion/test_intervals.py",),
    "fusion/model": ("tests/fusion/test_layer.py",),
    "fusion/mean": ("tests/fusion/test_ridge.py", "tests/fusion/test_kinds.py", "-k", "mean"),
    "fusion/ridge": ("tests/fusion/test_ridge.py", "tests/fusion/test_balance.py", "-k", "not trees"),
    "fusion/calibration": ("tests/fusion/test_calibration.py",),
    "fusion/layer": ("tests/fusion/test_cross_fitting.py", "tests/fusion/test_kinds.py"),
    "fusion/boosting": (
        *("tests/fusion/test_balance.py", "tests/fusion/test_layer.py", "tests/fusion/test_kinds.py"),
        *("tests/fusion/test_cross_fitting.py", "-k", "trees"),
    ),
    "fusion/kind": ("tests/fusion/test_ridge.py", "tests/fusion/test_cross_fitting.py", "-k", "ridge or folds"),
    "fusion/maturity": ("tests/fusion/test_maturity.py",),
    "fusion/regressors": (
        *("tests/fusion/test_regressors.py", "tests/fusion/test_kinds.py", "tests/fusion/test_cross_fitting.py"),
        *("-k", "regressor or feature"),
    ),
    "fusion/stacking": ("tests/fusion/test_stacking.py",),
    "fusion/trees": ("tests/fusion/test_kinds.py", "-k", "trees"),
    "ages": ("tests/growth/test_ages.py",),
    "growth/comparison": ("tests/growth/test_comparison.py",),
    "growth/height": ("tests/growth/test_height.py",),
    "growth/relation": ("tests/growth/test_relation.py",),
    "growth/tables": ("tests/growth/test_tables.py",),
}
"""Modules, and the fast tests that should notice a change of them."""

HEAVY = (
    *("numpy", "pandas", "cv2", "onnxruntime", "pydantic", "pydicom", "rich", "typer", "pytest", "hypothesis"),
    *("torch", "lightning", "lightgbm", "sklearn.linear_model", "onnxmltools", "onnx.helper", "timm", "scipy.stats"),
)
"""Imported once, before the first change is tried."""

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.MatMult: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}  # fmt: skip
TWINS = {"min": "max", "any": "all", "minimum": "maximum", "ceil": "floor", "argmin": "argmax", "zeros": "ones"}
TWINS |= {other: one for one, other in TWINS.items()}


@dataclass(frozen=True)
class Mutant:
    """One change of a module."""

    module: str
    line: int
    change: str
    source: str


def mutants(module: str) -> list[Mutant]:
    """Every change of a module, in the order of its lines."""
    path = ROOT / "boneage_roi" / f"{module}.py"
    if not path.is_file():
        raise InputError(f"{module}: no such module; known are {', '.join(TARGETS)}")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = _left_out(tree)
    found = []
    for position, node in enumerate(ast.walk(tree)):
        if id(node) in left_out:
            continue
        for number in range(len(list(_changes(node)))):
            changed = copy.deepcopy(tree)
            twin = next(other for place, other in enumerate(ast.walk(changed)) if place == position)
            line, change = list(_changes(twin))[number]()
            found.append(Mutant(module, line, change, ast.unparse(ast.fix_missing_locations(changed))))
    return sorted(found, key=lambda mutant: mutant.line)


def _left_out(tree: ast.AST) -> set[int]:
    """Annotations, messages, imports and what only a type checker or a person reads."""
    roots: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.Assert | ast.JoinedStr):
            roots.append(node)
        elif isinstance(node, ast.AnnAssign) or (isinstance(node, ast.arg) and node.annotation):
            roots += [node.annotation] if node.annotation else []
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            roots += node.decorator_list
            roots += [node] if node.name == "__repr__" else []
            roots += [node.returns] if isinstance(node, ast.FunctionDef) and node.returns else []
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            names = {name.id for name in ast.walk(node.value) if isinstance(name, ast.Name)}
            roots += [node] if names & {"Literal", "Callable", "Annotated", "TypeVar", "NDArray"} else []
    return {id(inner) for root in roots for inner in ast.walk(root)}


def _changes(node: ast.AST) -> Iterator[Callable[[], tuple[int, str]]]:
    """Functions that change a node in place and tell its line and what it was and became."""

    def changing(change: Callable[[], object]) -> Callable[[], tuple[int, str]]:
        def apply() -> tuple[int, str]:
            before = ast.unparse(node)
            change()
            return getattr(node, "lineno", 0), f"{before} → {ast.unparse(node)}"

        return apply

    match node:
        case ast.Compare(ops=[comparison, *_]) if type(comparison) in COMPARISONS:
            yield changing(lambda: node.ops.__setitem__(0, COMPARISONS[type(comparison)]()))
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            yield changing(lambda: setattr(node, "op", OPERATORS[type(operator)]()))
        case ast.BoolOp(op=junction):
            yield changing(lambda: setattr(node, "op", ast.Or() if isinstance(junction, ast.And) else ast.And()))
        case ast.UnaryOp(op=ast.USub()):
            yield changing(lambda: setattr(node, "op", ast.UAdd()))
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=inner):
            yield changing(lambda: setattr(node, "operand", ast.UnaryOp(node.op, inner)))
        case ast.Constant(value=bool(value)):
            yield changing(lambda: setattr(node, "value", not value))
        case ast.Constant(value=int(value) | float(value)):
            other = value + 1 if isinstance(value, int) else 2 * value or 1.0
            yield changing(lambda: setattr(node, "value", other))
        case ast.IfExp(test=test):
            yield changing(lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), test)))
        case ast.Call(func=ast.Name(id=name)) if name in TWINS:
            yield changing(lambda: setattr(node.func, "id", TWINS[name]))
        case ast.Call(func=ast.Attribute(attr=name)) if name in TWINS:
            yield changing(lambda: setattr(node.func, "attr", TWINS[name]))
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            yield changing(lambda keyword=keyword: node.keywords.remove(keyword))  # type: ignore[misc]
    if isinstance(node, ast.If | ast.While) and not _turned_anyway(node.test):
        yield lambda: _negated(node)
    for part in ("body", "orelse"):
        for index, statement in enumerate(statements := _statements(node, part)):
            if isinstance(statement, ast.Expr | ast.AugAssign | ast.Raise | ast.Continue | ast.Break) or (
                isinstance(statement, ast.Assign) and not isinstance(statement.targets[0], ast.Name | ast.Tuple)
            ):
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant | ast.Yield):
                    continue  # a docstring
                yield lambda index=index, statements=statements: _without(statements, index)  # type: ignore[misc]


def _statements(node: ast.AST, part: str) -> list[ast.stmt]:
    statements = getattr(node, part, [])
    return statements if isinstance(statements, list) else []


def _turned_anyway(test: ast.expr) -> bool:
    """Whether another change already turns a condition into its opposite."""
    opposite = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
    return isinstance(test, ast.UnaryOp) or (isinstance(test, ast.Compare) and isinstance(test.ops[0], opposite))


def _negated(node: ast.If | ast.While) -> tuple[int, str]:
    before = ast.unparse(node.test)
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return node.lineno, f"if {before} → if {ast.unparse(node.test)}"


def _without(statements: list[ast.stmt], index: int) -> tuple[int, str]:
    statement, statements[index] = statements[index], ast.copy_location(ast.Pass(), statements[index])
    return statement.lineno, f"{ast.unparse(statement)} → nothing"


class _Changed(MetaPathFinder, Loader):
    """Imports one module from a changed source."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(ROOT / f"{self.name.replace('.', '/')}.py")
        exec(compile(self.source, module.__file__, "exec"), module.__dict__)


def start(mutant: Mutant, tests: Sequence[str]) -> int:
    """Run the tests of a changed module in a process; returns its number. It exits with 0 when no test noticed."""
    if process := os.fork():
        return process
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    code = 3
    try:
        import pytest

        sys.meta_path.insert(0, _Changed(f"boneage_roi.{mutant.module.replace('/', '.')}", mutant.source))
        code = int(pytest.main(["-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]))
    finally:
        os._exit(code)


def survivors(candidates: list[Mutant], tests: Sequence[str], jobs: int, limit: float) -> list[Mutant]:
    """Those that no test noticed; a test that runs longer than ``limit`` seconds has noticed."""
    waiting, running, alive = candidates[::-1], dict[int, tuple[Mutant, float]](), []
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[start(mutant, tests)] = (mutant, time.monotonic())
        process, status = os.waitpid(-1, os.WNOHANG)
        if process:
            mutant, _ = running.pop(process)
            if os.waitstatus_to_exitcode(status) == 0:
                alive.append(mutant)
            continue
        for process, (_, began) in running.items():
            if time.monotonic() - began > limit:
                os.killpg(process, signal.SIGKILL)
        time.sleep(0.02)
    return sorted(alive, key=lambda mutant: mutant.line)


def try_module(module: str, jobs: int, most: int | None = None, again: set[str] | None = None) -> "Tried":
    """Try a module's changes.

    Args:
        most: so many of them at the most, spread evenly.
        again: only these changes, as the page shows them; the others count as noticed.
    """
    tests = TARGETS.get(module)
    if tests is None:
        raise InputError(f"{module}: not among the modules; known are {', '.join(TARGETS)}")
    plain = Mutant(module, 0, "", ast.unparse(ast.parse((ROOT / "boneage_roi" / f"{module}.py").read_text("utf-8"))))
    began = time.monotonic()
    if not survivors([plain], tests, 1, 600):
        raise InputError(f"{module}: {' '.join(tests)} fails without any change")
    limit = 30 + 10 * (time.monotonic() - began)
    candidates = mutants(module)
    changes = tried = len(candidates)
    if again is not None:
        candidates = [one for one in candidates if shown(one.change) in again]
    elif most is not None and changes > most:
        candidates = [candidates[int(changes / most * number)] for number in range(most)]
        tried = most
    alive = survivors(candidates, tests, jobs, limit)
    return Tried(changes, tried, tuple(Survivor(one.line, shown(one.change)) for one in alive))


COUNT = re.compile(r"^\| `(?P<module>[^`]+)` \| (?P<changes>\d+) \| (?P<tried>\d+) \| \d+ \| .* \|$")
ROW = re.compile(r"^\| `(?P<module>[^`]+)` \| (?P<line>\d+) \| `(?P<change>.+)` \| (?P<reason>.*) \|$")


@dataclass(frozen=True)
class Survivor:
    """A change that no test noticed, as the page lists it."""

    line: int
    change: str
    reason: str = ""


@dataclass(frozen=True)
class Tried:
    """What came of a module: how many changes there are, how many were tried, and which survived."""

    changes: int
    tried: int
    survivors: tuple[Survivor, ...]

    def __add__(self, other: "Tried") -> "Tried":
        return Tried(self.changes + other.changes, self.tried + other.tried, self.survivors + other.survivors)


def read_page(path: Path | None) -> dict[str, Tried]:
    """What a page says of each module."""
    if path is None or not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(ROW.match, lines) if row]
    return {
        count["module"]: Tried(
            int(count["changes"]),
            int(count["tried"]),
            tuple(
                Survivor(int(row["line"]), row["change"], row["reason"])
                for row in rows
                if row["module"] == count["module"]
            ),
        )
        for count in map(COUNT.match, lines)
        if count
    }


def page(known: dict[str, Tried]) -> str:
    """The page: a share a module, and the survivors with their reasons."""
    lines = ["| module | changes | tried | survived | share |", "| --- | --- | --- | --- | --- |"]
    named = [(f"`{module}`", known[module]) for module in TARGETS if module in known]
    for name, one in [*named, ("all", sum((one for _, one in named), Tried(0, 0, ())))]:
        left = len(one.survivors)
        lines.append(f"| {name} | {one.changes} | {one.tried} | {left} | {left / max(one.tried, 1):.1%} |")
    if missing := [f"`{module}`" for module in TARGETS if module not in known]:
        lines += ["", f"Not tried yet: {', '.join(missing)}."]
    lines += ["", "| module | line | change | why no test notices |", "| --- | --- | --- | --- |"]
    for name, one in named:
        lines += [f"| {name} | {each.line} | `{each.change}` | {each.reason} |" for each in one.survivors]
    return "\n".join(lines) + "\n"


def shown(change: str) -> str:
    """A change on one line that fits a table's cell."""
    before, after = (" ".join(part.split()) for part in change.split(" → "))
    return " → ".join(part if len(part) < 90 else f"{part[:87]}..." for part in (before, after)).replace("|", "¦")


INTRODUCTION = """# Changes that no test notices

`benchmarks/mutation.py` changes the package's code in one small place at a time and runs the tests of that module. This
page was written by

```sh
uv run --extra train --group test python benchmarks/mutation.py --output docs/reference/mutation.md
```

A survivor changes nothing that a user sees, or its reason says why no test looks for it. Where fewer changes were tried
than there are (`--most`), they were spread evenly over the module, and the share is theirs.

"""


def main(
    modules: Annotated[
        list[str] | None, typer.Argument(help="Such as fusion/intervals; all when none is given.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the page here; reasons that it gives are kept.")] = None,
    most: Annotated[int | None, typer.Option(help="Try so many changes of a module, spread evenly.")] = None,
    jobs: Annotated[int, typer.Option(help="How many at a time.")] = 2,
    again: Annotated[
        bool, typer.Option("--again", help="Try only the survivors that the page lists: after tests were added.")
    ] = False,
) -> None:
    """Try changes of the code; print the share that survives."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # their discovery takes longer than most tests
    for name in HEAVY:
        importlib.import_module(name)
    before, known = read_page(output), dict[str, Tried]()
    for module in modules or TARGETS:
        began = time.monotonic()
        reasons = {one.change: one.reason for one in before[module].survivors} if module in before else {}
        found = try_module(module, jobs, most, set(reasons) if again and reasons else None)
        listed = tuple(Survivor(one.line, one.change, reasons.get(one.change, "")) for one in found.survivors)
        known[module] = Tried(found.changes, found.tried, listed)
        seconds = time.monotonic() - began
        print(f"{module}: {len(listed)} of {found.tried} survive, {seconds:.0f} s", file=sys.stderr, flush=True)
        if output is not None:
            output.write_text(INTRODUCTION + page(before | known), encoding="utf-8")
    if output is None:
        print(page(known))


if __name__ == "__main__":
    run_typed(main)
