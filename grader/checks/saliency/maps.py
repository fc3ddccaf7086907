"""Topic 11, the checks of the maps of a network."""

from grader.checking import Exercise
from grader.checks.promises import promise
from grader.checks.saliency import (
    cases,
    comparing,
    map_mistakes,
    occlusion_mistakes,
    oracles,
    path_mistakes,
    runs,
)

_EVAL = "looks at the network in evaluation mode"
_GUARDED = "works inside torch.no_grad(), and on weights that require no gradient"
_SMALL = "takes a single image, one channel, and any size"
_FLOAT32 = "keeps float32"
_LEAVES = "returns a detached tensor, and leaves all as it was"
_WATCHED = ("map", "detached", "changed")

compute_saliency_maps = Exercise(
    name="compute_saliency_maps",
    run=runs.run_on_model,
    oracle=oracles.compute_saliency_maps,
    properties=(
        promise(1.5, "is right for linear networks", cases.saliency.linear, "map"),
        promise(2, "is right for ConvNets", cases.saliency.nets, "map"),
        promise(1.5, _SMALL, cases.saliency.small, "map"),
        promise(1, _EVAL, cases.saliency.modes, "map"),
        promise(1, _GUARDED, cases.saliency.guarded, "map"),
        promise(0.5, _FLOAT32, cases.saliency.float32, "map"),
        promise(1.5, _LEAVES, cases.saliency.watched, *_WATCHED),
    ),
    mistakes=map_mistakes.compute_saliency_maps,
)

smoothgrad = Exercise(
    name="smoothgrad",
    run=runs.run_on_model,
    oracle=oracles.smoothgrad,
    properties=(
        promise(
            1,
            "returns the saliency maps where there is no noise",
            cases.smoothgrad_exact,
            "map",
        ),
        promise(
            1,
            "averages: linear networks have one map, noise or not",
            cases.smoothgrad_linear,
            "map",
        ),
        promise(
            1.5,
            "adds noise of the promised strength to each image",
            cases.smoothgrad_noisy,
            "level",
            rtol=0.06,
            compare=comparing.compare_level,
        ),
        promise(
            1,
            "averages over as many copies as it is told",
            cases.smoothgrad_noisy,
            "spread",
            "together",
            rtol=0.3,
            compare=comparing.compare_spread,
        ),
        promise(0.5, "knows its defaults", cases.smoothgrad_default, "alike"),
        promise(
            0.5,
            "draws its noise from the generator alone",
            cases.smoothgrad_seeded,
            "agreement",
        ),
        promise(0.5, _SMALL, cases.without_noise.small, "map"),
        promise(0.5, _EVAL, cases.without_noise.modes, "map"),
        promise(0.5, _GUARDED, cases.without_noise.guarded, "map"),
        promise(0.5, _FLOAT32, cases.without_noise.float32, "map"),
        promise(1.5, _LEAVES, cases.without_noise.watched, *_WATCHED),
    ),
    mistakes=map_mistakes.smoothgrad,
)


def _integrated(points, name, given, *more, compare=comparing.compare_within):
    """A promise on values: any Riemann sum is near enough, the rest is not."""
    keys = ("map", *more)
    return promise(points, name, given, *keys, rtol=0.06, compare=compare)


integrated_gradients = Exercise(
    name="integrated_gradients",
    run=runs.run_on_model,
    oracle=oracles.integrated_gradients,
    properties=(
        _integrated(1, "is right for linear networks", cases.integrated.linear),
        _integrated(2, "is right for other networks", cases.integrated_nets),
        _integrated(
            1,
            "adds up to the difference of the scores",
            cases.integrated_nets,
            compare=comparing.compare_total,
        ),
        _integrated(
            0.5, "takes 50 steps by default", cases.integrated_default, "alike"
        ),
        _integrated(
            0.5, "comes closer with more steps, and takes few", cases.integrated_steps
        ),
        _integrated(
            1,
            "takes any baseline that can be broadcast to x",
            cases.integrated_baselines,
        ),
        _integrated(0.5, _SMALL, cases.integrated.small),
        _integrated(0.5, _EVAL, cases.integrated.modes),
        _integrated(0.5, _GUARDED, cases.integrated.guarded),
        _integrated(0.5, _FLOAT32, cases.integrated.float32),
        _integrated(1, _LEAVES, cases.integrated.watched, "detached", "changed"),
    ),
    mistakes=path_mistakes.integrated_gradients,
)

occlusion_map = Exercise(
    name="occlusion_map",
    run=runs.run_on_model,
    oracle=oracles.occlusion_map,
    properties=(
        promise(1.5, "is right for blocks side by side", cases.occlusion_apart, "map"),
        promise(
            1.5,
            "is right where blocks overlap, or end before the border",
            cases.occlusion_overlapping,
            "map",
        ),
        promise(1, "covers with any value", cases.occlusion_values, "map"),
        promise(
            1,
            "takes one channel, and blocks from one pixel to the whole image",
            cases.occlusion_small,
            "map",
        ),
        promise(0.5, _EVAL, cases.occlusion_modes, "map"),
        promise(0.5, _FLOAT32, cases.occlusion_float32, "map"),
        promise(1, _LEAVES, cases.occlusion_watched, *_WATCHED),
    ),
    mistakes=occlusion_mistakes.occlusion_map,
)
