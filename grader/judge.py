"""The judge: runs the instructor's graded cells, where the student's names are proxies.

Everything here runs in a trusted process and only text of the instructor's is executed.
A student's function is called by value: arguments go as data, data comes back, and the
verdict is computed here. What is no data stays with the student, behind a ``Proxy``.
"""

import ast
import builtins
import contextlib
import dis
import functools
import io
import marshal
import math
import time
import traceback
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import Any

from grader import alongside
from grader.checking import Report, StudentError, Trusted, running
from grader.inside.wire import Tagged
from grader.plan import Needs
from grader.student import CellTimeUp, Gone, StudentProcess

_NO_DATA = (
    "a student's object stays in the student's process: call it, call its methods, or"
    " let a function of the checks run next to it with `beside`"
)


class Judge:
    """Runs graded cells for one student, with the instructor's set-up cells before
    them."""

    def __init__(self, needs: dict[str, Needs]):
        self.needs = needs
        self.link = _Link()
        self.space: dict[str, Any] = {"__name__": "__main__"}
        self.done: set[str] = set()

    def grade(
        self, grade_id: str, source: str, student: StudentProcess, seconds: float
    ) -> list[dict]:
        """Return the outputs of a graded cell.

        Raises ``Gone`` if the student's process does not survive it, ``CellTimeUp`` if
        it takes too long.
        """
        needs = self.needs.get(grade_id, Needs(names=(), setup=()))
        self.link.begin(student, seconds, needs.seconds)
        try:
            self._set_up(needs.setup)
        # the instructor's to mend, and no reason to stop a class
        except Exception as error:
            return [error_output(error)]
        defined = self.link.defined(list(needs.names))
        for name in needs.names:
            self.space.pop(name, None)
            if name in defined:
                self.space[name] = Proxy(self.link, Tagged("name", name))
        with running(self.link.beside):
            return _execute(source, self.space)

    def _set_up(self, sources: Sequence[str]) -> None:
        for source in sources:
            if source not in self.done:
                exec(compile(source, "<set-up>", "exec"), self.space)
                self.done.add(source)


class _Link:
    """Calls into a student's process on behalf of one graded cell, within its time."""

    def begin(self, student: StudentProcess, seconds: float, call_s: float = 0) -> None:
        self.student, self.call_s = student, max(student.limits.call_s, call_s)
        student.refer = refer
        self.deadline = time.monotonic() + seconds
        self.seconds = seconds

    def left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.time_up()
        return left

    def time_up(self) -> CellTimeUp:
        return CellTimeUp(f"the cell took more than {self.seconds:g} s")

    def defined(self, names: list[str]) -> set[str]:
        return self.student.defined(names, self.left()) if names else set()

    def call(
        self,
        target: Tagged,
        arguments,
        keywords,
        handles: bool,
        most_s: float = math.inf,
    ) -> Any:
        call_s = min(most_s, self.call_s)
        seconds = min(call_s, self.left())
        try:
            return self.student.call(
                target, list(arguments), dict(keywords), seconds, handles=handles
            )
        except TimeoutError:
            if seconds < call_s:
                raise self.time_up() from None
            text = f"it takes more than {seconds:g} s"
            raise StudentError("TimeoutError", text) from None

    def received(self, value: Any) -> Any:
        """Return ``value`` with proxies in place of handles."""
        if isinstance(value, Tagged):
            return Proxy(self, value)
        if type(value) in (list, tuple):
            return type(value)(map(self.received, value))
        if type(value) is dict:
            return {key: self.received(entry) for key, entry in value.items()}
        return value

    def beside(
        self, function: Callable, students: tuple, data: dict, most_s: float = math.inf
    ) -> Any:
        return self.call(ship(function), students, data, False, most_s)


class Proxy:
    """A student's object, from the judge's side: it can be called, and so can its
    methods."""

    __slots__ = ("_link", "_target")
    __hash__ = None

    def __init__(self, link: _Link, target: Tagged):
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_target", target)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            value = self._link.call(self._target, arguments, keywords, handles=True)
        except StudentError as error:
            raise _as_builtin(error) from None
        return self._link.received(value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        here = Tagged("attribute", [self._target, name])
        getter = ship(_fetch)
        value = self._link.call(getter, (Proxy(self._link, here),), {}, handles=True)
        return Proxy(self._link, here) if isinstance(value, Tagged) else value

    def _refuse(self, *_: Any) -> Any:
        raise TypeError(_NO_DATA)

    __setattr__ = __delattr__ = __eq__ = __ne__ = __bool__ = __len__ = _refuse
    __iter__ = __getitem__ = __contains__ = __float__ = __int__ = __index__ = (
        __array__
    ) = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = __abs__ = __reduce_ex__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _refuse

    def __repr__(self) -> str:
        return "<an object in the student's process>"


def _fetch(value):
    return value


def _as_builtin(error: StudentError) -> StudentError:
    """Return the error as one that `except ValueError` and its like catch, too."""
    base = _BUILTIN_ERRORS.get(error.kind)
    if base is None:
        return error
    return type(error.kind, (StudentError, base), {})(error.kind, error.text)


_BUILTIN_ERRORS = {
    error.__name__: error
    for error in (ArithmeticError, AssertionError, AttributeError, IndexError, KeyError)
    + (LookupError, NameError, NotImplementedError, OverflowError, RecursionError)
    + (RuntimeError, TypeError, ValueError, ZeroDivisionError)
}


# --- what crosses ---


def refer(value: Any) -> Tagged | None:
    """Return the reference that crosses in place of ``value``, which is no data."""
    kind = type(value)
    if kind is Proxy:
        return value._target
    if kind is Trusted:
        weights = value.model.state_dict()
        content = [ship(value.build), value.arguments, weights, value.model.training]
        return Tagged("model", content)
    return ship(value) if kind is FunctionType else None


@functools.lru_cache(maxsize=512)
def ship(function: Callable) -> Tagged:
    """Return a function of the checks as text that the student's process can run.

    It has to be self-contained: what it needs it imports in its body.
    """
    if getattr(alongside, function.__name__, None) is function:
        return Tagged("alongside", function.__name__)
    names = _outer_names(function.__code__) - vars(builtins).keys()
    if function.__closure__ or names:
        what = ", ".join(sorted(names | set(function.__code__.co_freevars)))
        raise ValueError(
            f"{function.__qualname__} runs in the student's process, so it has to be"
            f" self-contained, but it uses {what} from outside; import or define that"
            " in its body, or pass it as an argument"
        )
    code = marshal.dumps(function.__code__)
    defaults = list(function.__defaults__ or ())
    content = [code, function.__name__, defaults, function.__kwdefaults__ or {}]
    return Tagged("code", content)


def _outer_names(code: CodeType) -> set[str]:
    found = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _outer_names(constant)
    return found


# --- running a cell ---


def _execute(source: str, space: dict) -> list[dict]:
    """Run a cell of the instructor's; return outputs as Jupyter has them."""
    printed, outputs = io.StringIO(), []
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            value = _run(source, space)
        except (Gone, CellTimeUp):
            raise
        except BaseException as error:
            outputs = [error_output(error)]
        else:
            outputs = [_result_output(value)] if value is not None else []
    text = printed.getvalue()
    stream = {"output_type": "stream", "name": "stdout", "text": text}
    return [stream, *outputs] if text else outputs


def _run(source: str, space: dict) -> Any:
    tree = ast.parse(source)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, "<graded cell>", "exec"), space)
    return eval(compile(last, "<graded cell>", "eval"), space) if last else None


def _result_output(value: Any) -> dict:
    data = {"text/plain": repr(value)}
    # of the judge's own class: a student's object could answer with its own verdict
    if type(value) is Report:
        data = value._repr_mimebundle_()
    return {
        "output_type": "execute_result",
        "execution_count": None,
        "metadata": {},
        "data": data,
    }


def error_output(error: BaseException) -> dict:
    """Return an error as a Jupyter output; a student's error keeps its own name."""
    name = error.kind if isinstance(error, StudentError) else type(error).__name__
    text = error.text if isinstance(error, StudentError) else str(error)
    lines = traceback.format_exception_only(type(error), error)
    return {
        "output_type": "error",
        "ename": name,
        "evalue": text,
        "traceback": [line.rstrip() for line in lines],
    }
