"""The hunt for mutants of a topic's solution that its hidden checks don't catch.

Every function that a check takes is mutated by machine, but for those that train. A
mutant that behaves like the original on broad random inputs is no mutant, and is left
out; each of the others has to lose points in a check that takes the function.

A topic's test module takes the tests in, and says what its functions do:

    from tests.grader.checks.hunting import *  # noqa: F403
    from tests.grader.checks.hunting import Hunt

    HUNT = Hunt(TOPIC, {"filter2d": probes.filters}, same)
"""

import ast
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.grader.checks.topic import Topic
from tests.grader.mutation import TimeUp, mutants, time_limit

WAYS = ("forward", "backward")


@dataclass
class Hunt:
    """What the tests need to know of a hunt, and what it found.

    - ``probes``: what a function does on broad inputs, ``probe(function, rng)``, by the
      function's name;
    - ``same``: tells whether two behaviours are the same;
    - ``pairs``: ``probe(forward, backward, rng)``, by a name such as ``"conv_{}"``, of
      two functions that are probed together;
    - ``survivors``: why a mutant may live, by (function, what was done);
    - ``limit_s``: what a probe may take on a mutant that loops for ever, and
      ``limits_s`` of those that take longer, by function;
    - ``rng``: makes the generator that a probe draws from.
    """

    topic: Topic
    probes: Mapping[str, Callable]
    same: Callable[[Any, Any], bool]
    pairs: Mapping[str, Callable] = field(default_factory=dict)
    survivors: Mapping[tuple[str, str], str] = field(default_factory=dict)
    limit_s: float = 3
    limits_s: Mapping[str, float] = field(default_factory=dict)
    rng: Callable[[], Any] = functools.partial(np.random.default_rng, 7)

    def __post_init__(self):
        self._results: dict[str, tuple[int, list[str]]] = {}

    @functools.cached_property
    def probed(self) -> dict[str, tuple[Callable, list[str]]]:
        """The probe of each function, and the names of the functions that it takes."""
        alone = {name: (probe, [name]) for name, probe in self.probes.items()}
        paired = {
            name.format(way): (probe, [name.format(way) for way in WAYS])
            for name, probe in self.pairs.items()
            for way in WAYS
        }
        return alone | paired

    @functools.cached_property
    def sources(self) -> dict[str, str]:
        """The source of the solution cell of each function that has a probe."""
        return {
            node.name: source
            for source in self.topic.cells.solution_sources().values()
            for node in ast.parse(source).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            and node.name in self.probed
        }

    def mutants(self, function: str) -> list[tuple[str, str]]:
        """What was done, and the source, of each mutant of a function."""
        with _quiet():
            return list(mutants(self.sources[function]))

    def behaviour(self, names: dict, function: str) -> Any:
        """What the function does, as it is among ``names``."""
        probe, needed = self.probed[function]
        with time_limit(self.limits_s.get(function, self.limit_s)):
            return probe(*(names[name] for name in needed), self.rng())

    def result(self, function: str) -> tuple[int, list[str]]:
        """How many mutants behave otherwise, and what was done to those that live."""
        if function not in self._results:
            with _quiet():
                self._results[function] = self._hunt(function)
        return self._results[function]

    def _hunt(self, function: str) -> tuple[int, list[str]]:
        solved, count, alive = self.topic.cells.namespace(), 0, []
        usual = self.behaviour(solved, function)
        again = self.behaviour(solved, function)
        assert self.same(again, usual), f"{function} behaves otherwise each time"
        for name, mutant in self.mutants(function):
            names = dict(solved)
            try:
                exec(compile(mutant, "<mutant>", "exec"), names)
            # a class can fail while it is defined
            except Exception:
                count += 1
                continue
            if self._behaves_otherwise(names, function, usual):
                count += 1
                if not self.topic.catches(names, function):
                    alive.append(name)
        return count, alive

    def _behaves_otherwise(self, names: dict, function: str, usual: Any) -> bool:
        try:
            return not self.same(self.behaviour(names, function), usual)
        # whatever ends the probe is another behaviour
        except (Exception, TimeUp):
            return True


@contextmanager
def _quiet() -> Iterator[None]:
    """Let mutants warn and print as they like."""
    with warnings.catch_warnings(), redirect_stdout(None):
        warnings.simplefilter("ignore")
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the tests below the functions of the topic whose module takes them in."""
    ours = metafunc.function.__module__ == __name__
    if ours and "function" in metafunc.fixturenames:
        metafunc.parametrize("function", metafunc.module.HUNT.sources)


@pytest.fixture(scope="module")
def hunt(request):
    return request.module.HUNT


@pytest.fixture(autouse=True)
def nobody_in_particular(monkeypatch):
    """Let nothing depend on who runs the tests: each hunt gives the same result."""
    monkeypatch.delenv("FOVEA_STUDENT", raising=False)
    monkeypatch.setenv("JUPYTERHUB_USER", "me")
    monkeypatch.setenv("FOVEA_SECRET", "a course")


def test_every_function_is_hunted_but_those_that_train(hunt):
    arguments, trains = hunt.topic.arguments, hunt.topic.trains
    taken = {name for e in arguments.keys() - set(trains) for name in arguments[e]}
    unprobed, unsolved = taken - hunt.probed.keys(), hunt.probed.keys() - hunt.sources
    assert not unprobed, unprobed
    assert not unsolved, unsolved


def test_what_may_survive_is_a_mutant(hunt):
    for function, done in hunt.survivors:
        assert done in dict(hunt.mutants(function)), (function, done)


@pytest.mark.slow
def test_mutants_are_caught(hunt, function):
    count, alive = hunt.result(function)
    print(f"{function}: {count - len(alive)} of {count} mutants caught {alive}")
    explained = {name for where, name in hunt.survivors if where == function}
    assert sorted(alive) == sorted(explained), f"alive: {alive}"


@pytest.mark.slow
def test_98_of_100_mutants_are_caught(hunt):
    results = [hunt.result(function) for function in hunt.sources]
    total = sum(count for count, _ in results)
    alive = sum(len(names) for _, names in results)
    print(f"mutants caught: {total - alive} of {total} ({1 - alive / total:.1%})")
    assert total >= 150
    assert alive <= 0.02 * total, f"{alive} of {total} survive"
