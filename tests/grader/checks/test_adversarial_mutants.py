"""How many mutants of the solution the hidden checks of topic 12 catch, and which not.

The function that trains is not mutated: it is judged by what its network withstands.
"""

from tests.grader.checks import adversarial_probes as probes
from tests.grader.checks.backprop_probes import same
from tests.grader.checks.hunting import *  # noqa: F403
from tests.grader.checks.hunting import Hunt
from tests.grader.checks.test_adversarial import TOPIC

HUNT = Hunt(
    TOPIC,
    {
        "linear_margin_drop": probes.drops,
        "linear_flip_epsilon": probes.flips,
        "fgsm": probes.steps,
        "make_fooling_image": probes.foolings,
        "pgd": probes.walks,
        "robust_accuracy": probes.accuracies,
        "adversarial_training_step": probes.trainings,
    },
    same,
    survivors={
        ("pgd", "16: dtype dropped"): "noise of float32 is uniform enough",
        ("pgd", "17: Add to Sub"): "the noise is symmetric",
        ("pgd", "17: operands swapped"): "the noise is symmetric",
    },
    limit_s=10,
)
