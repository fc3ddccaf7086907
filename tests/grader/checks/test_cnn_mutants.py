"""How many mutants of the solution the hidden checks of topic 04 catch, and which not.

Every function of the solution is mutated by machine, but for the one that trains: it is
judged by what it reaches. A mutant that behaves like the
original on broad random inputs is no mutant, and is left out; each of the others has to
lose points in a check that takes the function.
"""

import numpy as np
import pytest

from tests.grader.checks import cnn_probes as probes
from tests.grader.checks.cells import CNN as cells
from tests.grader.checks.test_cnn import TOPIC
from tests.grader.mutation import Hunt, time_limit

# A mutant that loops for ever is stopped
TIME_LIMIT_S = 3

# All 1,524 were tried, and caught, when the checks were written; this many save time
EVERY = 4

# Mutants that survive, and why: {(function, what was done): reason}
SURVIVORS: dict[tuple[str, str], str] = {}


def _pair(name, probe):
    def both(names, rng):
        return probe(*(names[name.format(way)] for way in ("forward", "backward")), rng)

    return both


def _max_pool(names, rng):
    pair = names["max_pool_forward_naive"], names["max_pool_backward_naive"]
    return probes.poolings(*pair, rng) + probes.max_ties(*pair, rng)


def _single(name, probe):
    return lambda names, rng: probe(names[name], rng)


_naive = _pair("conv_{}_naive", probes.convolutions)
_im2col = _pair("conv_{}_im2col", probes.convolutions)
_average = _pair("avg_pool_{}_naive", probes.poolings)

# what a cell's functions do, by a name that the cell defines
PROBES = {
    "filter2d": _single("filter2d", probes.filters),
    "conv_output_size": _single("conv_output_size", probes.sizes),
    "conv_forward_naive": _naive,
    "conv_backward_naive": _naive,
    "conv_forward_im2col": _im2col,
    "conv_backward_im2col": _im2col,
    "max_pool_forward_naive": _max_pool,
    "max_pool_backward_naive": _max_pool,
    "avg_pool_forward_naive": _average,
    "avg_pool_backward_naive": _average,
    "conv1x1": _single("conv1x1", probes.pixels),
    "receptive_field": _single("receptive_field", probes.fields),
    "count_parameters": _single("count_parameters", probes.counts),
    "count_operations": _single("count_operations", probes.counts),
    "ThreeLayerConvNet": _single("ThreeLayerConvNet", probes.convnets),
    "torch_twin": _single("torch_twin", probes.twins),
}
SOURCES = {
    name: source
    for name in PROBES
    for source in cells.solution_sources().values()
    if f"def {name}(" in source or f"class {name}:" in source
}


def behaviour(names, function):
    with time_limit(TIME_LIMIT_S):
        return PROBES[function](names, np.random.default_rng(7))


HUNT = Hunt(
    SOURCES,
    cells.namespace,
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
    HUNT.try_mutants_of(function)


@pytest.mark.slow
def test_98_of_100_mutants_are_caught():
    HUNT.assert_98_of_100_caught()
