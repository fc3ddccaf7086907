"""How many mutants of the solution the hidden checks of topic 09 catch, and which not.

Every function of the solution is mutated by machine, but for the one that trains: it is
judged by what it reaches. A mutant that behaves like the original on broad random
inputs (a network: as far as its contract says) is no mutant, and is left out; each of
the others has to lose points in a check that takes the function.
"""

import pytest
import torch

from tests.grader.checks import segmentation_probes as probes
from tests.grader.checks.test_segmentation import TOPIC
from tests.grader.mutation import Hunt, time_limit

# A mutant that loops for ever is stopped
TIME_LIMIT_S = 20

# All 985 were tried, and caught, when the checks were written; this many save time
EVERY = 4

# Mutants that survive, and why: {(function, what was done): reason}
SURVIVORS: dict[tuple[str, str], str] = {}


def _unets(Net, generator):
    with_skips = probes.networks(Net, generator)
    return [with_skips, probes.networks(Net, generator, skips=False)]


# what a cell's functions do, by a name that the cell defines
PROBES = {
    "unpool_nearest": probes.upsampling,
    "bed_of_nails": probes.upsampling,
    "max_unpool": probes.unpooling,
    "conv_matrix": probes.matrices,
    "conv_transpose2d_naive": probes.transposed,
    "fc_to_conv": probes.convolutions_of_layers,
    "mean_iou": probes.ious,
    "class_weights": probes.weights,
    "pixel_loss": probes.losses,
    "SegNet": probes.networks,
    "UNet": _unets,
}
SOURCES = {
    name: source
    for name in PROBES
    for source in TOPIC.cells.solution_sources().values()
    if f"def {name}(" in source or f"class {name}(" in source
}


def behaviour(names, function):
    with time_limit(TIME_LIMIT_S):
        generator = torch.Generator().manual_seed(7)
        return PROBES[function](names[function], generator)


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
    HUNT.try_mutants_of(function)


@pytest.mark.slow
def test_98_of_100_mutants_are_caught():
    HUNT.assert_98_of_100_caught()
