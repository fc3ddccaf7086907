"""How many mutants of the solution the hidden checks of topic 02 catch, and which not.

The function that reads digits is not mutated: it is judged by how many it reads.
"""

from tests.grader.checks import optimizers_probes as probes
from tests.grader.checks.backprop_probes import same
from tests.grader.checks.hunting import *  # noqa: F403
from tests.grader.checks.hunting import Hunt
from tests.grader.checks.test_optimizers import RULES, TOPIC

HUNT = Hunt(
    TOPIC,
    {
        "minibatches": probes.minibatches,
        **dict.fromkeys(RULES, probes.rule),
        "convert_velocity": probes.conversions,
        "descend": probes.walks,
        "step_decay": probes.step_decays,
        "exponential_decay": probes.exponential_decays,
        "ReduceOnPlateau": probes.plateaus,
        "train": probes.trainings,
        "range_test": probes.range_tests,
    },
    same,
)
