"""Topic 12, the checks of attacks on images, and of the linear model."""

from collections.abc import Callable

from grader.checking import Exercise, Mistake, Property
from grader.checks.adversarial import (
    cases,
    fooling_cases,
    image_mistakes,
    linear_cases,
    linear_mistakes,
    oracles,
    pgd_mistakes,
    runs,
)
from grader.checks.adversarial.comparisons import (
    compare_attack,
    compare_draws,
    compare_kind,
    compare_starts,
)
from grader.checks.promises import promise

KEPT = "keeps float32, and returns a detached tensor"
FOUND = "works under torch.no_grad(), and with frozen parameters"
LEFT = "leaves images, labels and model as they were found"

_KIND = ("result", "type", "is on a graph")
_SEEN = ("result", "changed")


def result_is(points: float, name: str, cases: Callable) -> Property:
    """Return the property that ``name`` tells of what comes back."""
    return promise(points, name, cases, "result")


def kind_is(points: float, name: str, cases: Callable) -> Property:
    """Return the property that what comes back is of the promised type, too."""
    return promise(points, name, cases, *_KIND, compare=compare_kind)


def nothing_changes(points: float, cases: Callable) -> Property:
    """Return the property that what was given is as it was found."""
    return promise(points, LEFT, cases, *_SEEN)


def _linear(name: str, known: tuple[Mistake, ...], *properties: Property) -> Exercise:
    return Exercise(
        name=name,
        run=runs.run_linear,
        oracle=getattr(oracles, name),
        properties=properties,
        mistakes=known,
    )


def attack(name: str, known: tuple[Mistake, ...], *properties: Property) -> Exercise:
    """Return an exercise whose function gets a model and images."""
    return Exercise(
        name=name,
        run=runs.run_attack,
        oracle=getattr(oracles, name),
        properties=properties,
        mistakes=known,
    )


linear_margin_drop = _linear(
    "linear_margin_drop",
    linear_mistakes.linear_margin_drop,
    result_is(1, "is right for weights of any shape", linear_cases.drops),
    result_is(0.5, "is right in high dimension", linear_cases.drops_large),
    promise(
        0.5,
        "returns a float, of float32 weights, too",
        linear_cases.drops_float32,
        "result",
        "type",
        "changed",
        compare=compare_kind,
    ),
)

linear_flip_epsilon = _linear(
    "linear_flip_epsilon",
    linear_mistakes.linear_flip_epsilon,
    result_is(1, "is right for two classes", linear_cases.flips_of_two),
    result_is(1, "is right for more classes", linear_cases.flips),
    result_is(0.5, "returns 0 where the label is behind", linear_cases.flips_behind),
    promise(
        0.5,
        "keeps float32, and leaves what it was given as it was",
        linear_cases.flips_float32,
        "result",
        "type",
        "changed",
        compare=compare_kind,
    ),
)

fgsm = attack(
    "fgsm",
    image_mistakes.fgsm,
    result_is(2.5, "takes the right step", cases.fgsm),
    result_is(1.5, "takes the right step towards a target", cases.fgsm_targeted),
    result_is(1, "stays in [0, 1]", cases.fgsm_borders),
    result_is(
        0.5,
        "leaves pixels without a gradient alone, and all of them at ε = 0",
        cases.fgsm_still,
    ),
    kind_is(0.5, KEPT, cases.fgsm_float32),
    result_is(1, FOUND, cases.fgsm_found),
    nothing_changes(1, cases.fgsm_left),
)

make_fooling_image = attack(
    "make_fooling_image",
    image_mistakes.make_fooling_image,
    result_is(
        2.5, "goes the right way, and stops when it has arrived", fooling_cases.fooling
    ),
    result_is(
        1,
        "takes no step too many if one is enough, or none",
        fooling_cases.fooling_soon,
    ),
    result_is(1, "takes 100 steps at most", fooling_cases.fooling_limit),
    result_is(0.5, "stops where the gradient is 0", fooling_cases.fooling_flat),
    kind_is(0.5, KEPT, fooling_cases.fooling_float32),
    result_is(0.5, FOUND, fooling_cases.fooling_found),
    nothing_changes(1, fooling_cases.fooling_left),
)


def _random(points: float, name: str, key: str, compare: Callable) -> Property:
    return promise(points, name, cases.starts, key, compare=compare)


pgd = attack(
    "pgd",
    pgd_mistakes.pgd,
    result_is(
        2.5, "follows the gradient of where it is, step by step", cases.pgd_steps
    ),
    result_is(2.5, "projects on the ball after each step", cases.pgd_ball),
    result_is(1.5, "projects on [0, 1] after each step", cases.pgd_box),
    result_is(
        0.5,
        "stays at x with steps=0, at ε = 0 and without a gradient",
        cases.pgd_still,
    ),
    _random(
        1, "starts at a random point of the ball with rng", "starts", compare_starts
    ),
    _random(1, "draws from rng alone", "draws", compare_draws),
    _random(1, "goes on from its random start", "attack", compare_attack),
    kind_is(0.5, KEPT, cases.pgd_float32),
    result_is(0.5, FOUND, cases.pgd_found),
    nothing_changes(1, cases.pgd_left),
)
