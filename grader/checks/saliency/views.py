"""Topic 11, the checks of clipped maps, of patches and of neighbours."""

from grader.checking import Exercise
from grader.checks.promises import promise
from grader.checks.saliency import runs, view_cases, view_mistakes, view_oracles

_LEAVES = "returns a detached tensor of the right dtype, and leaves all as it was"
_WATCHED = ("result", "detached", "changed")

percentile_clip = Exercise(
    name="percentile_clip",
    run=runs.run_on_data,
    oracle=view_oracles.percentile_clip,
    properties=(
        promise(1.5, "clips at the 99th percentile", view_cases.clip_default, "result"),
        promise(0.75, "takes any percentile", view_cases.clip_percentiles, "result"),
        promise(0.5, "clips negative entries to 0", view_cases.clip_signed, "result"),
        promise(
            0.5,
            "returns zeros where the percentile is not positive",
            view_cases.clip_flat,
            "result",
        ),
        promise(0.75, _LEAVES, view_cases.clip_float32, *_WATCHED),
    ),
    mistakes=view_mistakes.percentile_clip,
)


def _patches(points, name, cases, *more):
    keys = ("result", *more)
    compare = view_oracles.compare_patches
    return promise(points, name, cases, *keys, compare=compare)


top_patches = Exercise(
    name="top_patches",
    run=runs.run_on_data,
    oracle=view_oracles.top_patches,
    properties=(
        _patches(2, "finds the best patches of a unit", view_cases.patches),
        _patches(1.25, "finds them in images of any form", view_cases.patches_wide),
        _patches(1, "returns as many as it is told", view_cases.patches_number),
        _patches(
            0.75,
            "ranks negative activations, and those that tie",
            view_cases.patches_tied,
        ),
        _patches(1, _LEAVES, view_cases.patches_float32, "detached", "changed"),
    ),
    mistakes=view_mistakes.top_patches,
)


def _neighbours(points, name, cases, *more):
    keys = ("result", *more)
    compare = view_oracles.compare_neighbours
    return promise(points, name, cases, *keys, compare=compare)


nearest_in_feature_space = Exercise(
    name="nearest_in_feature_space",
    run=runs.run_on_data,
    oracle=view_oracles.nearest_in_feature_space,
    properties=(
        _neighbours(1.5, "finds the five nearest", view_cases.neighbours),
        _neighbours(0.5, "finds as many as it is told", view_cases.neighbours_number),
        _neighbours(
            0.5,
            "finds a query that is among the features, and those that tie",
            view_cases.neighbours_own,
        ),
        _neighbours(0.5, _LEAVES, view_cases.neighbours_float32, "detached", "changed"),
    ),
    mistakes=view_mistakes.nearest_in_feature_space,
)
