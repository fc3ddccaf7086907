"""How many mutants of the solution the hidden checks of topic 11 catch, and which not.

No function trains, so all are mutated.
"""

from tests.grader.checks import saliency_probes as probes
from tests.grader.checks.hunting import *  # noqa: F403
from tests.grader.checks.hunting import Hunt
from tests.grader.checks.test_saliency import TOPIC

HUNT = Hunt(
    TOPIC,
    {
        "compute_saliency_maps": probes.saliency,
        "smoothgrad": probes.smooth,
        "percentile_clip": probes.clips,
        "integrated_gradients": probes.paths,
        "occlusion_map": probes.covers,
        "top_patches": probes.patches,
        "nearest_in_feature_space": probes.neighbours,
        "find_shortcut": probes.shortcuts,
    },
    probes.same,
    survivors={("smoothgrad", "17: dtype dropped"): "noise of float32 is noise"},
    limit_s=10,
)
