"""Topic 12, adversarial images: the hidden checks, one exercise for each graded
cell."""

from grader.checks.adversarial.images import (
    fgsm,
    linear_flip_epsilon,
    linear_margin_drop,
    make_fooling_image,
    pgd,
)
from grader.checks.adversarial.training import (
    adversarial_training_step,
    robust_accuracy,
    robust_digits,
)

__all__ = [
    "linear_margin_drop",
    "linear_flip_epsilon",
    "fgsm",
    "make_fooling_image",
    "pgd",
    "robust_accuracy",
    "adversarial_training_step",
    "robust_digits",
]
