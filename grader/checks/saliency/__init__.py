"""Topic 11, seeing inside a network: the hidden checks, one exercise for each graded
cell."""

from grader.checks.saliency.maps import (
    compute_saliency_maps,
    integrated_gradients,
    occlusion_map,
    smoothgrad,
)
from grader.checks.saliency.shortcuts import find_shortcut
from grader.checks.saliency.views import (
    nearest_in_feature_space,
    percentile_clip,
    top_patches,
)

__all__ = [
    "compute_saliency_maps",
    "smoothgrad",
    "percentile_clip",
    "integrated_gradients",
    "occlusion_map",
    "top_patches",
    "nearest_in_feature_space",
    "find_shortcut",
]
