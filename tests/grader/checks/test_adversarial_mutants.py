"""How many mutants of the solution the hidden checks of topic 12 catch, and which not.

Every function of the solution is mutated by machine, but for the one that trains, which
is judged by what its network withstands. A mutant that behaves like the original on
broad random inputs is no mutant, and is left out; each of the others has to lose points
in a check that takes the function.
"""

import numpy as np
import pytest

from tests.grader.checks import adversarial_probes as probes
from tests.grader.checks.backprop_probes import same
from tests.grader.checks.test_adversarial import TOPIC
from tests.grader.mutation import Hunt, time_limit

# A mutant that loops for ever is stopped
TIME_LIMIT_S = 10

# Mutants that survive, and why: {(function, what was done): reason}
SURVIVORS: dict[tuple[str, str], str] = {
    ("pgd", "16: dtype dropped"): "noise of float32 is uniform enough",
    ("pgd", "17: Add to Sub"): "the noise is symmetric",
    ("pgd", "17: operands swapped"): "the noise is symmetric",
}

PROBES = {
    "linear_margin_drop": probes.drops,
    "linear_flip_epsilon": probes.flips,
    "fgsm": probes.steps,
    "make_fooling_image": probes.foolings,
    "pgd": probes.walks,
    "robust_accuracy": probes.accuracies,
    "adversarial_training_step": probes.trainings,
}
SOURCES = {
    name: source
    for name in PROBES
    for source in TOPIC.cells.solution_sources().values()
    if source.startswith(f"def {name}(")
}


def behaviour(names, function):
    with time_limit(TIME_LIMIT_S):
        return PROBES[function](names[function], np.random.default_rng(7))


HUNT = Hunt(SOURCES, TOPIC.cells.namespace, behaviour, same, TOPIC.catches, SURVIVORS)


@pytest.mark.slow
@pytest.mark.parametrize("function", SOURCES)
def test_mutants_are_caught(function, monkeypatch):
    monkeypatch.delenv("FOVEA_STUDENT", raising=False)
    monkeypatch.setenv("FOVEA_SECRET", "a course")
    HUNT.try_mutants_of(function)


@pytest.mark.slow
def test_98_of_100_mutants_are_caught():
    HUNT.assert_98_of_100_caught()
