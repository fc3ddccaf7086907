"""Mutants of a piece of Python: small edits of its syntax tree, one at a time; and a
time limit for those that loop for ever."""

import ast
import copy
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OPERATORS = {
    ast.Add: [ast.Sub, ast.Mult],
    ast.Sub: [ast.Add, ast.Mult],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult, ast.FloorDiv],
    ast.Pow: [ast.Mult],
    ast.MatMult: [ast.Mult],
    ast.FloorDiv: [ast.Div],
}
COMPARISONS = {
    ast.Gt: [ast.GtE, ast.Lt],
    ast.Lt: [ast.LtE, ast.Gt],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
METHODS = {
    "max": ["min", "sum", "mean"],
    "sum": ["mean", "max"],
    "mean": ["sum"],
    "maximum": ["minimum", "add"],
    "exp": ["log1p", "exp2"],
    "log": ["log2", "exp"],
    "tanh": ["sin", "arctan"],
    "abs": ["negative"],
    "zeros": ["ones"],
    "argmax": ["argmin"],
    "sqrt": ["square"],
    "where": [],
}


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yield (what was done where, source of the mutant)."""
    tree = ast.parse(source)
    for index, node in enumerate(ast.walk(tree)):
        for number, (name, _) in enumerate(_edits(node)):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[index]
            list(_edits(target))[number][1]()
            line = getattr(node, "lineno", 0)
            try:
                mutant = ast.unparse(ast.fix_missing_locations(changed))
                compile(mutant, "<mutant>", "exec")
            except (ValueError, SyntaxError):
                continue
            if mutant != ast.unparse(tree):
                yield f"{line}: {name}", mutant


def _edits(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the edits that apply to one node, each with its name."""
    yield from _operator_edits(node)
    yield from _value_edits(node)
    yield from _call_edits(node)
    yield from _statement_edits(node)


def _operator_edits(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    if isinstance(node, ast.BinOp | ast.AugAssign):
        for other in OPERATORS.get(type(node.op), []):
            name = f"{type(node.op).__name__} to {other.__name__}"
            yield name, lambda other=other: setattr(node, "op", other())
    if isinstance(node, ast.BinOp):
        yield "operands swapped", lambda: _swap(node, "left", "right")
        yield "left operand alone", lambda: _become(node, node.left)
        yield "right operand alone", lambda: _become(node, node.right)
    if isinstance(node, ast.Compare):
        for other in COMPARISONS.get(type(node.ops[0]), []):
            name = f"{type(node.ops[0]).__name__} to {other.__name__}"
            yield name, lambda other=other: node.ops.__setitem__(0, other())
    if isinstance(node, ast.UnaryOp):
        yield "unary operator dropped", lambda: _become(node, node.operand)
    if isinstance(node, ast.IfExp):
        yield "branches swapped", lambda: _swap(node, "body", "orelse")


def _value_edits(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "flag flipped", lambda: setattr(node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for value in (node.value + 1, node.value - 1, 0, 2 * node.value):
            if value != node.value:
                name = f"{node.value} to {value}"
                yield name, lambda value=value: setattr(node, "value", value)
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "not transposed", lambda: _become(node, node.value)
    if isinstance(node, ast.Attribute):
        for other in METHODS.get(node.attr, []):
            name = f"{node.attr} to {other}"
            yield name, lambda other=other: setattr(node, "attr", other)
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield "not indexed", lambda: _become(node, node.value)
    if isinstance(node, ast.Tuple | ast.List) and len(node.elts) > 1:
        yield "first elements swapped", lambda: _swap_items(node.elts)
    if isinstance(node, ast.Dict) and len(node.values) > 1:
        yield "values swapped", lambda: _swap_items(node.values)
        yield "entry dropped", lambda: (node.keys.pop(), node.values.pop())


def _call_edits(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    if not isinstance(node, ast.Call):
        return
    if len(node.args) > 1:
        yield "arguments swapped", lambda: _swap_items(node.args)
    if node.args:
        yield "argument in place of call", lambda: _become(node, node.args[0])
    if isinstance(node.func, ast.Attribute):
        yield "object in place of call", lambda: _become(node, node.func.value)
    for i, keyword in enumerate(node.keywords):
        yield f"{keyword.arg} dropped", lambda i=i: node.keywords.pop(i)


def _statement_edits(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
        if not isinstance(body, list):
            continue
        for i, statement in enumerate(body):
            if _is_docstring(statement) or isinstance(node, ast.Module):
                continue
            name = f"{type(statement).__name__} dropped in line {statement.lineno}"
            yield name, lambda body=body, i=i: body.__setitem__(i, ast.Pass())
    if isinstance(node, ast.If | ast.While):
        negated = ast.UnaryOp(op=ast.Not(), operand=node.test)
        yield "condition negated", lambda: setattr(node, "test", negated)


def _is_docstring(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _swap(node: ast.AST, a: str, b: str) -> None:
    old = getattr(node, a)
    setattr(node, a, getattr(node, b))
    setattr(node, b, old)


def _swap_items(items: list) -> None:
    items[0], items[1] = items[1], items[0]


def _become(node: ast.AST, other: ast.AST) -> None:
    """Turn a node into another one, in place."""
    node.__class__, node.__dict__ = other.__class__, dict(other.__dict__)


class TimeUp(BaseException):
    """Time is up; no ``except Exception`` on the way may stop it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TimeUp`` in the block if it computes for longer: mutants loop for ever.

    What counts is the time of this process, so a busy machine is no mutant's fault.
    """

    def ring(*_: object) -> None:
        raise TimeUp(f"more than {seconds:g} s")

    handler = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
