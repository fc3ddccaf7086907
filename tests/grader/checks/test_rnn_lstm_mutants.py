"""How many mutants of the solution the hidden checks of topic 07 catch, and which not.

Every function of the solution is mutated by machine, but for the one that trains: it is
judged by what it reaches. A mutant that behaves like the original on broad random
inputs is no mutant, and is left out; each of the others has to lose points in a check
that takes the function.
"""

import numpy as np
import pytest

from tests.grader.checks import rnn_lstm_probes as probes
from tests.grader.checks.backprop_probes import same
from tests.grader.checks.test_rnn_lstm import TOPIC
from tests.grader.mutation import Hunt, time_limit

# A mutant that loops for ever is stopped
TIME_LIMIT_S = 3

# All 882 were tried, and caught, when the checks were written; this many save time
EVERY = 4

# Mutants that survive, and why: {(function, what was done): reason}
SURVIVORS: dict[tuple[str, str], str] = {}


def _pair(name, probe):
    def both(names, rng):
        return probe(*(names[f"{name}_{way}"] for way in ("forward", "backward")), rng)

    return {f"{name}_{way}": both for way in ("forward", "backward")}


def _single(name, probe):
    return {name: lambda names, rng: probe(names[name], rng)}


# what a cell's functions do, by a name that the cell defines
PROBES = {
    **_pair("rnn_step", probes.steps(1)),
    **_pair("rnn", probes.sequences(1)),
    **_single("spectral_radius", probes.radii),
    **_single("gradient_norms", probes.norms),
    **_pair("lstm_step", probes.steps(4)),
    **_pair("lstm", probes.sequences(4)),
    **_pair("word_embedding", probes.embeddings),
    **_single("temporal_softmax_loss", probes.losses),
    **_single("char_loss", probes.models),
    **_single("sample", probes.samplers),
    **_single("attend", probes.attentions),
}
SOURCES = {
    name: source
    for name in PROBES
    for source in TOPIC.cells.solution_sources().values()
    if f"def {name}(" in source
}


def behaviour(names, function):
    with time_limit(TIME_LIMIT_S):
        return PROBES[function](names, np.random.default_rng(7))


HUNT = Hunt(
    SOURCES,
    TOPIC.cells.namespace,
    behaviour,
    same,
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
