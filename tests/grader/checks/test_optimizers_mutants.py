"""How many mutants of the solution the hidden checks of topic 02 catch, and which not.

Every function of the solution is mutated by machine, but for the one that reads digits,
which is judged by how many it reads. A mutant that behaves like the
original on broad random inputs is no mutant, and is left out; each of the others has to
lose points in a check that takes the function.
"""

import numpy as np
import pytest

from tests.grader.checks import optimizers_probes as probes
from tests.grader.checks.backprop_probes import same
from tests.grader.checks.cells import OPTIMIZERS as cells
from tests.grader.checks.test_optimizers import RULES, TOPIC
from tests.grader.mutation import Hunt, time_limit

# A mutant that loops for ever is stopped
TIME_LIMIT_S = 3

# All were tried, and caught, when the checks were written; this many save time
EVERY = 3

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


def behaviour(names, function):
    with time_limit(TIME_LIMIT_S):
        return PROBES[function](names[function], np.random.default_rng(7))


HUNT = Hunt(
    SOURCES, cells.namespace, behaviour, same, TOPIC.catches, SURVIVORS, every=EVERY
)


@pytest.mark.slow
@pytest.mark.parametrize("function", SOURCES)
def test_mutants_are_caught(function, monkeypatch):
    monkeypatch.delenv("FOVEA_STUDENT", raising=False)
    monkeypatch.setenv("FOVEA_SECRET", "a course")
    HUNT.try_mutants_of(function)


@pytest.mark.slow
def test_98_of_100_mutants_are_caught():
    HUNT.assert_98_of_100_caught()
