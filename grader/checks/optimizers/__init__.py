"""Topic 02, optimizers: the hidden checks, one exercise for each graded cell."""

from grader.checks.optimizers.loops import (
    descend,
    digits,
    exponential_decay,
    minibatches,
    range_test,
    reduce_on_plateau,
    step_decay,
    train,
)
from grader.checks.optimizers.rules import (
    adagrad,
    adam,
    adam_uncorrected,
    convert_velocity,
    nesterov,
    rmsprop,
    sgd,
    sgd_momentum,
)

__all__ = [
    "minibatches",
    "sgd",
    "sgd_momentum",
    "convert_velocity",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adam",
    "adam_uncorrected",
    "descend",
    "step_decay",
    "exponential_decay",
    "reduce_on_plateau",
    "train",
    "range_test",
    "digits",
]
