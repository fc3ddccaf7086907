"""Topic 12, the checks of accuracy under attack and of adversarial training."""

import numpy as np

from grader.checking import Exercise, Property
from grader.checks.adversarial import oracles, runs, step_mistakes, training_cases
from grader.checks.adversarial.attacks import make_net, robustness
from grader.checks.adversarial.comparisons import compare_kind
from grader.checks.adversarial.images import (
    FOUND,
    attack,
    kind_is,
    nothing_changes,
    result_is,
)
from grader.checks.digits import digits_data
from grader.checks.promises import promise

robust_accuracy = attack(
    "robust_accuracy",
    step_mistakes.robust_accuracy,
    result_is(
        2, "is the share that is right after the attack", training_cases.accuracy
    ),
    result_is(
        0.5, "is the clean accuracy without an attack", training_cases.accuracy_clean
    ),
    kind_is(0.5, "returns a float, for one image, too", training_cases.accuracy_one),
    result_is(0.5, FOUND, training_cases.accuracy_found),
    nothing_changes(0.5, training_cases.accuracy_left),
)

_LOSS, _WEIGHTS = "losses", "parameters"

adversarial_training_step = Exercise(
    name="adversarial_training_step",
    run=runs.run_training,
    oracle=oracles.training,
    properties=(
        promise(
            1, "returns the loss before the step", training_cases.training_clean, _LOSS
        ),
        promise(
            1,
            "takes one step of the optimizer",
            training_cases.training_clean,
            _WEIGHTS,
        ),
        promise(
            1.5, "returns the loss of attacked images", training_cases.training, _LOSS
        ),
        promise(
            2, "learns from attacked images alone", training_cases.training, _WEIGHTS
        ),
        promise(
            1,
            "clears the gradients of before, and goes on from step to step",
            training_cases.training_stale,
            _LOSS,
            _WEIGHTS,
        ),
        promise(
            0.5,
            "takes the step in the mode that the model is in",
            training_cases.training_modes,
            _LOSS,
            _WEIGHTS,
        ),
        promise(
            0.5,
            "returns a float, and keeps float32",
            training_cases.training_float32,
            _LOSS,
            _WEIGHTS,
            "type",
            compare=compare_kind,
        ),
        promise(
            0.5,
            "leaves x, y and the model's mode as they were found",
            training_cases.training_left,
            _LOSS,
            "changed",
        ),
    ),
    mistakes=step_mistakes.adversarial_training_step,
)


# --- a network that the judge attacks ---


def _digits(rng):
    X, y, _, _ = digits_data()
    names, seed = rng.permutation(10), int(rng.integers(1000))
    return [{"X_train": X, "y_train": names[y], "seed": seed}]


def _names(X_train, y_train, seed):
    """What y_train calls the classes."""
    X, y, _, _ = digits_data()
    assert np.array_equal(X, X_train)
    return {"weights": np.array([y_train[y == k][0] for k in range(10)])}


def _unfit(weights) -> str:
    """Return in words why these are no weights of the network, or an empty text."""
    wanted = {n: tuple(w.shape) for n, w in make_net().state_dict().items()}
    if not isinstance(weights, dict) or weights.keys() != wanted.keys():
        return "what came back is not the network that make_net builds"
    for name, value in weights.items():
        if value.shape != wanted[name] or value.dtype.kind != "f":
            return "what came back is not the network that make_net builds"
        if not np.isfinite(value).all():
            return "some of the network's weights are not finite"
    return ""


def _reaches(clean: float, robust: float):
    """Return a comparison that asks for these shares of right digits."""

    def compare(key, seen, names):
        if words := _unfit(seen):
            return words
        found = robustness(seen, names)
        if found.clean >= clean and found.robust >= robust:
            return ""
        words = f"{found.clean:.1%} of the held-out digits are right"
        if not robust:
            return f"{words}, of {clean:.0%} asked for"
        words += (
            f", and {found.robust:.1%} under attack, of {clean:.0%} and"
            f" {robust:.0%} asked for"
        )
        if found.pgd > found.robust + 0.05:
            words += (
                f". Plain PGD alone leaves {found.pgd:.1%}: the gradient hides what"
                " other attacks find"
            )
        return words

    return compare


def _share(points: float, name: str, clean: float, robust: float) -> Property:
    compare = _reaches(clean, robust)
    return promise(points, name, _digits, "weights", compare=compare)


robust_digits = Exercise(
    name="robust_digits",
    run=runs.run_robust_training,
    oracle=_names,
    properties=(
        _share(2, "names 90 % of new digits right", 0.9, 0),
        _share(2, "names 85 % right, and 50 % under attack", 0.85, 0.5),
        _share(4, "names 90 % right, and 60 % under attack", 0.9, 0.6),
    ),
)
