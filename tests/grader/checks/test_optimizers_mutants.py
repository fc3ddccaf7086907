"""How many mutants of the solution the hidden checks of topic 02 catch, and which not.

Every function of the solution is mutated by machine, but for the one that reads digits,
which is judged by how many it reads. A mutant that behaves like the
original on broad random inputs is no mutant, and is left out; each of the others has to
lose points in a check that takes the function.
"""

import contextlib
import warnings

import numpy as np
import pytest

from tests.grader.checks import optimizers_cells as cells
from tests.grader.checks import optimizers_probes as probes
from tests.grader.checks.backprop_probes import same
from tests.grader.checks.test_optimizers import CALLS, RULES, scorer
from tests.grader.mutation import TimeUp, mutants, time_limit

# A mutant that loops for ever is stopped
TIME_LIMIT_S = 3

# Mutants that survive, and why: {(function, what was done): reason}
SURVIVORS: dict[tuple[str, str], str] = {}

# what a cell's functions do, by a name that the cell defines
PROBES = {
    "minibatches": probes.minibatches,
    **dict.fromkeys(RULES, probes.rule),
    "convert_velocity": probes.conversions,
    "descend": probes.walks,
    "step_decay": probes.step_decays,
    "exponential_decay": probes.exponential_decays,
    "ReduceOnPlateau": probes.plateaus,
    "train": probes.trainings,
    "range_test": probes.range_tests,
}
SOURCES = {}
for _source in cells.solution_sources().values():
    _heads = (_line.split("(")[0].rstrip(":") for _line in _source.splitlines())
    _name = next(h.split()[1] for h in _heads if h.startswith(("def ", "class ")))
    if _name in PROBES:
        SOURCES[_name] = _source


@contextlib.contextmanager
def quiet():
    """Let mutants warn and print as they like."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        warnings.simplefilter("ignore")
        yield


def behaviour(names, function):
    with time_limit(TIME_LIMIT_S):
        return PROBES[function](names[function], np.random.default_rng(7))


def behaves_otherwise(names, function, usual):
    try:
        return not same(behaviour(names, function), usual)
    # whatever ends the probe is another behaviour
    except (Exception, TimeUp):
        return True


def caught(names, function):
    """Tell whether some check that takes the function takes points off."""
    for _, points, exercise, arguments in CALLS:
        if function in arguments:
            try:
                with time_limit(TIME_LIMIT_S):
                    score = scorer(exercise)(*(names[a] for a in arguments)).score
            except TimeUp:
                score = 0
            if score < points:
                return True
    return False


def survivors_of(function):
    """Return the number of mutants that behave otherwise, and those never caught."""
    solved, source = cells.namespace(), SOURCES[function]
    with quiet():
        usual = behaviour(solved, function)
        assert same(behaviour(solved, function), usual)
        count, survivors = 0, []
        for name, mutant in mutants(source):
            names = dict(solved)
            try:
                exec(compile(mutant, "<mutant>", "exec"), names)
            # a class can fail while it is defined
            except Exception:
                count += 1
                continue
            if behaves_otherwise(names, function, usual):
                count += 1
                if not caught(names, function):
                    survivors.append(name)
    return count, survivors


RESULTS: dict[str, tuple[int, list[str]]] = {}


@pytest.mark.slow
@pytest.mark.parametrize("function", SOURCES)
def test_mutants_are_caught(function, monkeypatch):
    monkeypatch.delenv("FOVEA_STUDENT", raising=False)
    monkeypatch.setenv("FOVEA_SECRET", "a course")
    RESULTS[function] = count, survivors = survivors_of(function)
    explained = [what for where, what in SURVIVORS if where == function]
    print(f"{function}: {count - len(survivors)} of {count} mutants caught {survivors}")
    assert sorted(survivors) == sorted(explained)


@pytest.mark.slow
def test_98_of_100_mutants_are_caught():
    if set(RESULTS) != set(SOURCES):
        pytest.skip("counts need the tests above, in the same process")
    total = sum(count for count, _ in RESULTS.values())
    alive = sum(len(survivors) for _, survivors in RESULTS.values())
    print(f"mutants caught: {total - alive} of {total} ({1 - alive / total:.1%})")
    assert total >= 150
    assert alive <= 0.02 * total
