"""How many mutants of the solution the hidden checks of topic 09 catch, and which not.

The function that trains is not mutated: it is judged by what it reaches. Networks
behave alike when they keep their contract alike.
"""

import torch

from tests.grader.checks import segmentation_probes as probes
from tests.grader.checks.hunting import *  # noqa: F403
from tests.grader.checks.hunting import Hunt
from tests.grader.checks.test_segmentation import TOPIC


def _unets(Net, generator):
    with_skips = probes.networks(Net, generator)
    return [with_skips, probes.networks(Net, generator, skips=False)]


HUNT = Hunt(
    TOPIC,
    {
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
    },
    probes.same,
    limit_s=20,
    rng=lambda: torch.Generator().manual_seed(7),
)
