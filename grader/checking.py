"""The engine of the hidden checks: exercises, their properties, mistakes, and the
report.

An ``Exercise`` runs a student's functions on *cases*, compares what comes back with an
oracle, and gives points for each ``Property`` that holds in all of its cases. What does
not agree is compared with what known ``Mistake``s would have produced, so that the
report can name the mistake without showing inputs or expected numbers.

Student code is touched in one place only, ``beside``: a function of the checks goes to
where the student's objects live, and plain data comes back. That function

- takes the student's functions, then the data of one case by keyword, and returns a
  dict of data;
- decides nothing, asserts nothing;
- is self-contained: what it imports it imports in its body, from the grader's package
  only ``grader.alongside``.
"""

import contextlib
import contextvars
import copy
import hashlib
import hmac
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader import alongside
from grader.comparing import disagreement

VERDICT_MIME = "application/vnd.fovea.verdict+json"
UNANSWERED = "not answered yet"
# what takes longer than this in one message is asked for case by case
TOGETHER_S = 10


class StudentError(Exception):
    """Student code raised, or returned what is not data.

    ``kind`` is the name of the exception.
    """

    def __init__(self, kind: str, text: str):
        super().__init__(f"{kind}: {text}" if text else kind)
        self.kind, self.text = kind, text


class Trusted:
    """A model of the checks' own that student code is given: it crosses as weights.

    ``build(**arguments)`` makes the model, here and there, so it has to be
    self-contained. What comes back of it is judged on ``model``, which stays here.
    """

    def __init__(self, build: Callable[..., Any], **arguments: Any):
        self.build, self.arguments = build, arguments
        self.model = build(**arguments)

    def __deepcopy__(self, memo: dict) -> Any:
        # a copy is for student code: the model itself
        return copy.deepcopy(self.model, memo)


# --- where a check meets student code ---


def _run_here(function: Callable, students: tuple, data: dict[str, Any]) -> Any:
    """Run beside the student's objects in this very process."""
    try:
        return function(*students, **copy.deepcopy(data))
    # a student's function may raise anything, SystemExit included; an interrupt is ours
    except (Exception, SystemExit) as error:
        raise StudentError(**alongside.described(error)) from None


_place: contextvars.ContextVar[Callable] = contextvars.ContextVar(
    "place", default=_run_here
)


def beside(function: Callable, students: tuple, data: dict[str, Any]) -> Any:
    """Run ``function(*students, **data)`` where the student's objects live; return
    plain data.

    Arguments and result cross by value. Raises ``StudentError`` if student code raises
    or what comes back is not plain data.
    """
    return _received(_place.get()(function, students, data))


def _outcome(told: dict[str, Any]) -> Any:
    """Return the value, or the ``StudentError``, that ``alongside.each`` tells of."""
    if type(told) is dict and type(error := told.get("error")) is dict:
        kind, text = error.get("kind"), error.get("text")
        if type(kind) is type(text) is str:
            return StudentError(in_a_line(kind), in_a_line(text))
    if type(told) is not dict or "value" not in told:
        raise TypeError("neither a value nor an error")
    return _received(told["value"])


def in_a_line(text: str) -> str:
    """Return the beginning of a text, as one line that any file can hold."""
    # half characters can't be written
    return " ".join(text.encode("utf-8", "replace").decode().split())[:200]


def _received(value: Any) -> Any:
    try:
        return plain(value)
    except RecursionError:
        raise StudentError("RecursionError", "a container that holds itself") from None


@contextmanager
def running(place: Callable[..., Any]) -> Iterator[None]:
    """Let ``beside`` run its functions through ``place(function, students, data)``.

    It may be given the most seconds that the call may take.
    """
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def plain(value: Any) -> Any:
    """Return a copy of ``value`` made of plain data alone; raise ``StudentError``
    otherwise."""
    # type(value), never isinstance: an object can lie about its class
    kind, torch = type(value), sys.modules.get("torch")
    if value is None or kind in (bool, int, float, complex, str, bytes):
        return value
    if issubclass(kind, (np.ndarray, np.generic)):
        array = np.array(value, subok=False)
        if array.dtype.kind not in "biufc":
            return _refuse(value)
        return array if issubclass(kind, np.ndarray) else array[()]
    # of subclasses the contents count, read by the base's own methods
    for base in (list, tuple):
        if issubclass(kind, base):
            return base(map(plain, base.__iter__(value)))
    if issubclass(kind, dict):
        return {plain(key): plain(entry) for key, entry in dict.items(value)}
    if torch and issubclass(kind, torch.Tensor):
        return torch.Tensor.detach(value).as_subclass(torch.Tensor).clone().cpu()
    return _refuse(value)


def _refuse(value: Any) -> Any:
    kind = type(value).__name__
    raise StudentError(
        "TypeError",
        f"a value of type {kind} came back, where arrays, numbers, strings or"
        " containers of them are promised",
    )


# --- the exercise ---


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A known wrong variant: ``message`` names it to the student; ``functions`` commit
    it.

    ``functions`` stand where the student's functions stand in the exercise's ``run``.
    """

    name: str
    message: str
    functions: tuple[Callable, ...]


@dataclass(frozen=True, kw_only=True)
class Property:
    """A promise of the contract, worth ``points`` if it holds in every case.

    ``name`` completes "your code …"; ``cases(rng)`` returns the data of each call, and
    ``keys`` are the entries of what ``run`` returns that have to agree with the
    oracle's. ``hint`` is what to look at when no mistake is recognised. Where agreeing
    means something else than equality, ``compare(key, seen, expected)`` returns in
    words what is wrong, or "".
    """

    name: str
    points: float
    cases: Callable[[np.random.Generator], list[dict[str, Any]]]
    keys: tuple[str, ...]
    hint: str = ""
    rtol: float | None = None
    compare: Callable[[str, Any, Any], str] | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A property that does not hold: what the student reads, and the mistakes
    recognised."""

    property: str
    points: float
    message: str
    mistakes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """The typed verdict of one exercise: points, and each property that does not
    hold."""

    exercise: str
    score: float
    max_score: float
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as data that JSON can hold."""
        return {
            "exercise": self.exercise,
            "score": self.score,
            "max": self.max_score,
            "findings": [
                {
                    "property": f.property,
                    "points": f.points,
                    "message": f.message,
                    "mistakes": list(f.mistakes),
                }
                for f in self.findings
            ],
        }

    def to_markdown(self) -> str:
        """Return the report as a student reads it."""
        points = f"{self.score:g} of {self.max_score:g} points"
        if not self.findings:
            return (
                f"**{self.exercise}**: {points}. Every promise of the contract holds."
            )
        if not self.score and len({f.message for f in self.findings}) == 1:
            return f"**{self.exercise}**: {points}. {self.findings[0].message}"
        told: dict[str, None] = {}
        lines = []
        for f in self.findings:
            new = [part for part in f.message.split("; ") if part not in told]
            lines.append(
                f"- ({f.points:g}) {f.property}: {'; '.join(new) or 'as above'}"
            )
            told |= dict.fromkeys(new)
        return "\n".join([f"**{self.exercise}**: {points}. Not yet:", "", *lines])

    def __repr__(self) -> str:
        # nbgrader reads a graded cell's points from this text
        return f"{self.score:g}"

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> dict[str, Any]:
        return {
            "text/plain": repr(self),
            "text/markdown": self.to_markdown(),
            VERDICT_MIME: self.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What a student writes, and how it is judged.

    ``run(*functions, **case)`` goes beside the student's functions and returns a dict
    of data; ``oracle(**case)`` returns what that dict has to hold; of two ``mistakes``
    that explain as much, the first is named.
    """

    name: str
    run: Callable[..., dict[str, Any]]
    oracle: Callable[..., dict[str, Any]]
    properties: tuple[Property, ...]
    mistakes: tuple[Mistake, ...] = ()

    @property
    def points(self) -> float:
        return round(sum(p.points for p in self.properties), 6)

    def __call__(self, *functions: Any) -> Report:
        """Return the report on the student's ``functions``."""
        findings = self._findings(functions)
        score = round(self.points - sum(f.points for f in findings), 6)
        return Report(
            exercise=self.name,
            score=score,
            max_score=self.points,
            findings=tuple(findings),
        )

    def _findings(self, functions: tuple) -> list[Finding]:
        """Return what is wrong; properties with the same ``cases`` share one run."""
        runs: dict[Callable, _Run] = {}
        for prop in self.properties:
            if prop.cases not in runs:
                cases = prop.cases(_rng(self.name, prop.name))
                observed = self._observe_all(functions, cases)
                expected = [self.oracle(**copy.deepcopy(case)) for case in cases]
                runs[prop.cases] = _Run(cases, observed, expected)
        faults = {}
        for prop in self.properties:
            if found := self._faults(prop, runs[prop.cases]):
                faults[prop] = found
        named = self._recognise(faults, runs)
        return [_finding(prop, faults[prop], named) for prop in faults]

    def _observe_all(self, functions: tuple, cases: list) -> list:
        """Return what ``run`` gives for each case, or its ``StudentError``."""
        place, seen = _place.get(), []
        if place is not _run_here and len(cases) > 1:
            # one message is faster than many; what goes wrong in it goes one by one
            with contextlib.suppress(StudentError, TypeError, ValueError):
                while left := cases[len(seen) :]:
                    students, data = (self.run, *functions), {"seed": 1, "cases": left}
                    told = place(alongside.each, students, data, TOGETHER_S)
                    if not 0 < len(told) <= len(left):
                        raise ValueError("not one answer for each case")
                    pairs = list(zip(map(_outcome, told), left, strict=False))
                    seen += [self._looked_at(*pair) for pair in pairs]
        return seen + [self._observe(functions, case) for case in cases[len(seen) :]]

    def _observe(self, functions: tuple, case: dict[str, Any]) -> Any:
        """Return what ``run`` gives beside ``functions``, or the ``StudentError``."""
        try:
            students, data = (self.run, *functions), {"seed": 1, "data": case}
            seen = beside(alongside.seeded, students, data)
        except StudentError as error:
            seen = error
        return self._looked_at(seen, case)

    def _looked_at(self, seen: Any, case: dict[str, Any]) -> Any:
        """Return what is compared with the oracle, of what came back for a case."""
        return seen

    def _faults(self, prop: Property, run: "_Run") -> dict[str, str]:
        """Return, for each key that disagrees in some case, how it disagrees."""
        faults: dict[str, str] = {}
        for seen, expected in zip(run.observed, run.expected, strict=True):
            for key in prop.keys:
                fault = _fault(key, seen, expected, prop)
                if fault and key not in faults:
                    faults[key] = fault
        return faults

    def _recognise(
        self, faults: dict[Property, dict[str, str]], runs: dict[Callable, "_Run"]
    ) -> dict[tuple[str, str], Mistake]:
        """Return the mistake behind each fault, by the names of property and key.

        The mistake that explains most faults is taken first, then the one that explains
        most of the others: so few are named, and the likeliest.
        """
        answered = [p for p in faults if not runs[p.cases].unanswered]
        explained = [
            (mistake, self._explained_by(mistake, answered, faults, runs))
            for mistake in self.mistakes
            if answered
        ]
        found: dict[tuple[str, str], Mistake] = {}
        while explained:
            mistake, pairs = max(explained, key=lambda e: len(e[1] - found.keys()))
            new = pairs - found.keys()
            if not new:
                break
            found |= dict.fromkeys(new, mistake)
        return found

    def _explained_by(
        self, mistake: Mistake, props: list, faults: dict, runs: dict
    ) -> set[tuple[str, str]]:
        """Return which faults the mistake would have brought about just so."""
        explained = set()
        with running(_run_here):
            for cases in {prop.cases for prop in props}:
                left = [(p, k) for p in props if p.cases is cases for k in faults[p]]
                run = runs[cases]
                trios = zip(run.cases, run.observed, run.expected, strict=True)
                for case, seen, expected in trios:
                    # most mistakes are out after one case
                    if left:
                        made = self._observe(mistake.functions, case)
                        left = [
                            (prop, key)
                            for prop, key in left
                            if _alike(key, made, seen, prop.rtol)
                            and _wrong_alike(key, made, seen, expected, prop)
                        ]
                explained |= {(prop.name, key) for prop, key in left}
        return explained


@dataclass(frozen=True)
class _Run:
    """The cases of a property, what came back from each, and what should have."""

    cases: list[dict[str, Any]]
    observed: list[Any]
    expected: list[dict[str, Any]]

    @property
    def unanswered(self) -> bool:
        return any(
            isinstance(seen, StudentError) and seen.kind == "NotImplementedError"
            for seen in self.observed
        )


def _finding(
    prop: Property, faults: dict[str, str], named: dict[tuple[str, str], Mistake]
) -> Finding:
    """Return one property's finding: the mistakes by name, other faults in words."""
    mistakes = [named[prop.name, key] for key in faults if (prop.name, key) in named]
    unnamed = [text for key, text in faults.items() if (prop.name, key) not in named]
    messages = [mistake.message for mistake in mistakes] + unnamed
    if prop.hint and unnamed and not mistakes and UNANSWERED not in unnamed:
        messages[-1] += f". {prop.hint}"
    message = "; ".join(dict.fromkeys(messages))
    return Finding(
        property=prop.name,
        points=prop.points,
        # what came back has its part in it; half characters can't be written
        message=message.encode("utf-8", "replace").decode()[:2000],
        mistakes=tuple(dict.fromkeys(mistake.name for mistake in mistakes)),
    )


# --- comparing ---


def _fault(key: str, seen: Any, expected: dict[str, Any], prop: Property) -> str:
    """Return how ``seen[key]`` disagrees with ``expected[key]``, or an empty text."""
    if isinstance(seen, StudentError):
        if seen.kind == "NotImplementedError":
            return UNANSWERED
        return f"your code raised {seen}"
    if key not in seen:
        return f"`{key}` is missing"
    if prop.compare:
        return prop.compare(key, seen[key], expected[key])
    words = disagreement(key, seen[key], expected[key], prop.rtol)
    return _SIDE_EFFECTS[key](seen[key]) if words and key in _SIDE_EFFECTS else words


# what ``alongside.watch`` saw, in words
_SIDE_EFFECTS = {
    "changed": lambda names: (
        "your code changes what it was given: "
        + ", ".join(f"`{name}`" for name in names)
    ),
    "warnings": lambda texts: f"NumPy warned along the way: {texts[0]}",
}


def _alike(key: str, made: Any, seen: Any, rtol: float | None) -> bool:
    """Tell whether a mistake made what was seen: the same values, or the same error."""
    if isinstance(made, StudentError) and isinstance(seen, StudentError):
        # the texts too, as errors of a kind differ in reason; that of recursion varies
        return made.kind == seen.kind and (
            str(made) == str(seen) or made.kind == "RecursionError"
        )
    if isinstance(made, StudentError) or isinstance(seen, StudentError):
        return False
    return (
        key in made
        and key in seen
        and not disagreement(key, seen[key], made[key], rtol)
    )


def _wrong_alike(
    key: str, made: Any, seen: Any, expected: dict[str, Any], prop: Property
) -> bool:
    """Tell whether a mistake is wrong in the same words as what was seen: values that
    are alike may be right, or wrong in another way, by the property's own measure."""
    if isinstance(seen, StudentError):
        return True
    return _fault(key, made, expected, prop) == _fault(key, seen, expected, prop)


# --- seeds ---


def student() -> str | None:
    """Return the id of the student whose work is being graded, ``None`` for one's own
    work."""
    return os.environ.get("FOVEA_STUDENT") or None


def _rng(*labels: str) -> np.random.Generator:
    """Return a generator drawn from the course's secret, the student and ``labels``."""
    secret = os.environ.get("FOVEA_SECRET", "")
    text = "\n".join([student() or "", *labels])
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
