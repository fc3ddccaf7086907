"""How many mutants of the solution the hidden checks of topic 04 catch, and which not.

The function that trains is not mutated: it is judged by what it reaches.
"""

from tests.grader.checks import cnn_probes as probes
from tests.grader.checks.hunting import *  # noqa: F403
from tests.grader.checks.hunting import Hunt
from tests.grader.checks.test_cnn import TOPIC


def _max_pool(forward, backward, rng):
    poolings = probes.poolings(forward, backward, rng)
    return poolings + probes.max_ties(forward, backward, rng)


HUNT = Hunt(
    TOPIC,
    {
        "filter2d": probes.filters,
        "conv_output_size": probes.sizes,
        "conv1x1": probes.pixels,
        "receptive_field": probes.fields,
        "count_parameters": probes.counts,
        "count_operations": probes.counts,
        "ThreeLayerConvNet": probes.convnets,
        "torch_twin": probes.twins,
    },
    probes.same,
    pairs={
        "conv_{}_naive": probes.convolutions,
        "conv_{}_im2col": probes.convolutions,
        "max_pool_{}_naive": _max_pool,
        "avg_pool_{}_naive": probes.poolings,
    },
)
