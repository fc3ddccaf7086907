"""Topic 01, the checks of the losses, and of the numerical gradient."""

from grader.checking import Exercise
from grader.checks.backprop import cases, oracles, runs
from grader.checks.backprop import loss_mistakes as mistakes
from grader.checks.backprop import mistakes as layer_mistakes
from grader.checks.promises import HANDS_OFF, promise

# formulas that differ in rounding, or by a tiny epsilon, are fine at everyday scores
EVERYDAY = 1e-5

# differences of numbers around 1e4, which float32 spaces by 1e-3
FLOAT32_AT_1E4 = 5e-3

_UP_TO_1E4 = "stays right, without a warning, for scores up to 1e4 on either side"

_APART = "does so also where the rows of a batch lie far apart"

_IN_FLOAT32 = "does so also in float32"

l2_loss = Exercise(
    name="l2_loss",
    run=runs.run_l2_loss,
    oracle=oracles.l2_loss,
    properties=(
        promise(0.75, "returns the right loss", cases.pairs, "loss"),
        promise(0.75, "returns the right `dpred`", cases.pairs, "dpred"),
        promise(
            0.5, HANDS_OFF, cases.pairs_float32, "loss", "dpred", "changed", rtol=1e-4
        ),
    ),
    mistakes=mistakes.l2_loss,
)

svm_loss = Exercise(
    name="svm_loss",
    run=runs.run_loss,
    oracle=oracles.svm_loss,
    properties=(
        promise(1.5, "returns the right loss", cases.hinge, "loss"),
        promise(2, "returns the right `dx`", cases.hinge, "dx"),
        promise(
            0.5, HANDS_OFF, cases.hinge_float32, "loss", "dx", "changed", rtol=1e-4
        ),
    ),
    mistakes=mistakes.svm_loss,
)

log_softmax = Exercise(
    name="log_softmax",
    run=runs.run_log_softmax,
    oracle=oracles.log_softmax,
    properties=(
        promise(0.75, "returns the right values", cases.scores, "out", rtol=EVERYDAY),
        promise(0.5, _UP_TO_1E4, cases.scores_large("float64"), "out", "warnings"),
        promise(0.25, _APART, cases.scores_far_apart, "out", "warnings"),
        promise(
            0.25,
            _IN_FLOAT32,
            cases.scores_large("float32"),
            "out",
            "warnings",
            rtol=FLOAT32_AT_1E4,
        ),
        promise(0.25, HANDS_OFF, cases.scores_float32, "out", "changed"),
    ),
    mistakes=mistakes.log_softmax,
)

_scores = cases.labelled(cases.scores)

softmax_loss = Exercise(
    name="softmax_loss",
    run=runs.run_loss,
    oracle=oracles.softmax_loss,
    properties=(
        promise(1.25, "returns the right loss", _scores, "loss", rtol=EVERYDAY),
        promise(1.25, "returns the right `dx`", _scores, "dx", rtol=EVERYDAY),
        promise(
            0.5,
            HANDS_OFF,
            cases.labelled(cases.scores_float32),
            "loss",
            "dx",
            "changed",
            rtol=1e-4,
        ),
    ),
    mistakes=mistakes.softmax_loss,
)

softmax_loss_stability = Exercise(
    name="softmax_loss_stability",
    run=runs.run_loss,
    oracle=oracles.softmax_loss,
    properties=(
        promise(
            1,
            _UP_TO_1E4,
            cases.labelled(cases.scores_large("float64")),
            "loss",
            "dx",
            "warnings",
        ),
        promise(
            0.5,
            _APART,
            cases.labelled(cases.scores_far_apart),
            "loss",
            "dx",
            "warnings",
        ),
        promise(
            0.5,
            _IN_FLOAT32,
            cases.labelled(cases.scores_large("float32")),
            "loss",
            "dx",
            "warnings",
            rtol=FLOAT32_AT_1E4,
        ),
    ),
    mistakes=mistakes.softmax_loss_stability,
)

numerical_gradient = Exercise(
    name="numerical_gradient",
    run=runs.run_numerical_gradient,
    oracle=oracles.numerical_gradient,
    properties=(
        promise(
            1.25,
            "returns central differences for any shape",
            cases.gradients_plain,
            "grad",
            rtol=1e-6,
        ),
        promise(
            0.5,
            "uses the step that it is given",
            cases.gradients_with_step,
            "grad",
            rtol=1e-6,
        ),
        promise(
            0.75,
            "works for an x that is scattered in memory",
            cases.gradients_scattered,
            "grad",
            "changed",
            rtol=1e-6,
        ),
        promise(
            0.5,
            "leaves x as it was, to the last bit",
            cases.gradients_small,
            "grad",
            "changed",
            "how far x moved",
            rtol=1e-6,
        ),
    ),
    mistakes=layer_mistakes.numerical_gradient,
)
