"""How many mutants of the solution the hidden checks of topic 11 catch, and which not.

Every function of the solution is mutated by machine. A mutant that behaves like the
original on broad random inputs is no mutant, and is left out; each of the others has to
lose points in a check that takes the function.
"""

import numpy as np
import pytest

from tests.grader.checks import saliency_probes as probes
from tests.grader.checks.test_saliency import TOPIC
from tests.grader.mutation import Hunt, time_limit

# A mutant that loops for ever is stopped
TIME_LIMIT_S = 10

# All 456 were tried when the checks were written, and 455 were caught: noise that is
# drawn in float32 is noise as well. This many save time
EVERY = 2

# Mutants that survive, and why: {(function, what was done): reason}
SURVIVORS: dict[tuple[str, str], str] = {}

# what a cell's function does
PROBES = {
    "compute_saliency_maps": probes.saliency,
    "smoothgrad": probes.smooth,
    "percentile_clip": probes.clips,
    "integrated_gradients": probes.paths,
    "occlusion_map": probes.covers,
    "top_patches": probes.patches,
    "nearest_in_feature_space": probes.neighbours,
    "find_shortcut": probes.shortcuts,
}
SOURCES = {
    name: source
    for name in PROBES
    for source in TOPIC.cells.solution_sources().values()
    if f"def {name}(" in source
}


def behaviour(names, function):
    with time_limit(TIME_LIMIT_S):
        return PROBES[function](names[function], np.random.default_rng(7))


HUNT = Hunt(
    SOURCES,
    TOPIC.cells.namespace,
    behaviour,
    probes.same,
    TOPIC.catches,
    SURVIVORS,
    every=EVERY,
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
