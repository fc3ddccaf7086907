"""Topic 01, backprop by hand: the hidden checks, one exercise for each graded cell."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from grader.checking import Exercise, Property, Report, StudentError, beside, student
from grader.checks import backprop_cases as cases
from grader.checks import backprop_mistakes as mistakes
from grader.checks import backprop_mistakes2 as mistakes2
from grader.checks import backprop_oracles as oracles
from grader.checks import backprop_runs as runs

HANDS_OFF = "keeps float32, and leaves what it was given as it was"
# a share of 1e-5: formulas that differ in rounding, or by a tiny epsilon, are fine there
EVERYDAY = 1e-5
# differences of numbers around 1e4, which float32 spaces by 1e-3
FLOAT32_AT_1E4 = 5e-3


def _property(
    points: float, name: str, cases: Callable, *keys: str, **more: Any
) -> Property:
    return Property(name=name, points=points, cases=cases, keys=keys, **more)


# --- layers -------------------------------------------------------------------------------

affine_forward = Exercise(
    name="affine_forward",
    run=runs.run_affine_forward,
    oracle=oracles.affine_forward,
    properties=(
        _property(1.5, "returns the right `out` for any shape", cases.affine, "out"),
        _property(0.5, HANDS_OFF, cases.affine_float32, "out", "changed"),
    ),
    mistakes=mistakes.affine_forward,
)

_affine = cases.with_dout(cases.affine)
_affine_float32 = cases.with_dout(cases.affine_float32)
_AGAIN = "result of a second call"

affine_backward = Exercise(
    name="affine_backward",
    run=runs.run_affine_backward,
    oracle=oracles.affine_backward,
    properties=(
        _property(1.5, "returns the right `dx`", _affine, "dx"),
        _property(1.5, "returns the right `dw`", _affine, "dw"),
        _property(1, "returns the right `db`", _affine, "db"),
        _property(0.5, "keeps float32", _affine_float32, "dx", "dw", "db"),
        _property(
            0.5,
            "leaves dout and the cache as they were",
            _affine,
            "dx",
            "dw",
            "db",
            "changed",
            "x, w, b",
            _AGAIN,
        ),
    ),
    mistakes=mistakes.affine_backward,
)


def _forward(name: str, *extra: Property, points: float = 0.75) -> Exercise:
    prefix = "maxout" if name == "maxout" else "activation"
    plain, small = getattr(cases, prefix), getattr(cases, f"{prefix}_float32")
    return Exercise(
        name=f"{name}_forward",
        run=runs.run_forward,
        oracle=oracles.forward(name),
        properties=(
            _property(points, "returns the right `out` for any shape", plain, "out"),
            *extra,
            _property(0.25, HANDS_OFF, small, "out", "changed"),
        ),
        mistakes=getattr(mistakes, f"{name}_forward"),
    )


def _backward(name: str, *extra: Property, points: float = 0.75) -> Exercise:
    prefix = "maxout" if name == "maxout" else "activation"
    with_dout = cases.reduced_dout if name == "maxout" else cases.same_shape_dout
    plain = with_dout(getattr(cases, prefix))
    small = with_dout(getattr(cases, f"{prefix}_float32"))
    return Exercise(
        name=f"{name}_backward",
        run=runs.run_backward,
        oracle=oracles.maxout_backward if name == "maxout" else oracles.backward(name),
        properties=(
            _property(points, "returns the right `dx` for any shape", plain, "dx"),
            *extra,
            _property(0.25, HANDS_OFF, small, "dx", "changed", _AGAIN),
        ),
        mistakes=getattr(mistakes, f"{name}_backward"),
    )


_FAR = "stays right, without a warning, for x up to 1000 on either side"
_extreme = cases.same_shape_dout(cases.activation_extreme)

relu_forward = _forward("relu")
relu_backward = _backward("relu")
sigmoid_forward = _forward("sigmoid")
sigmoid_backward = _backward("sigmoid")
tanh_forward = _forward(
    "tanh",
    _property(0.25, _FAR, cases.activation_extreme, "out", "warnings"),
    points=0.5,
)
tanh_backward = _backward(
    "tanh", _property(0.25, _FAR, _extreme, "dx", "warnings"), points=0.5
)
leaky_relu_forward = _forward("leaky_relu")
leaky_relu_backward = _backward("leaky_relu")
maxout_forward = _forward("maxout")
maxout_backward = _backward(
    "maxout",
    _property(
        0.75,
        "shares the gradient out at ties",
        cases.reduced_dout(cases.maxout_tied),
        "dx",
        _AGAIN,
        compare=oracles.compare_ties,
    ),
    points=1,
)

sigmoid_stability = Exercise(
    name="sigmoid_stability",
    run=runs.run_pair,
    oracle=oracles.backward("sigmoid"),
    properties=(
        _property(
            0.5, "is right for x up to 1000 on either side", _extreme, "out", "dx"
        ),
        _property(0.5, "brings no warning there", _extreme, "out", "dx", "warnings"),
    ),
    mistakes=mistakes.sigmoid_stability,
)

# --- losses -------------------------------------------------------------------------------


_UP_TO_1E4 = "stays right, without a warning, for scores up to 1e4 on either side"
_APART = "does so also where the rows of a batch lie far apart"
_IN_FLOAT32 = "does so also in float32"

l2_loss = Exercise(
    name="l2_loss",
    run=runs.run_l2_loss,
    oracle=oracles.l2_loss,
    properties=(
        _property(0.75, "returns the right loss", cases.pairs, "loss"),
        _property(0.75, "returns the right `dpred`", cases.pairs, "dpred"),
        _property(
            0.5, HANDS_OFF, cases.pairs_float32, "loss", "dpred", "changed", rtol=1e-4
        ),
    ),
    mistakes=mistakes2.l2_loss,
)

svm_loss = Exercise(
    name="svm_loss",
    run=runs.run_loss,
    oracle=oracles.svm_loss,
    properties=(
        _property(1.5, "returns the right loss", cases.hinge, "loss"),
        _property(2, "returns the right `dx`", cases.hinge, "dx"),
        _property(
            0.5, HANDS_OFF, cases.hinge_float32, "loss", "dx", "changed", rtol=1e-4
        ),
    ),
    mistakes=mistakes2.svm_loss,
)

log_softmax = Exercise(
    name="log_softmax",
    run=runs.run_log_softmax,
    oracle=oracles.log_softmax,
    properties=(
        _property(0.75, "returns the right values", cases.scores, "out", rtol=EVERYDAY),
        _property(0.5, _UP_TO_1E4, cases.scores_large("float64"), "out", "warnings"),
        _property(0.25, _APART, cases.scores_far_apart, "out", "warnings"),
        _property(
            0.25,
            _IN_FLOAT32,
            cases.scores_large("float32"),
            "out",
            "warnings",
            rtol=FLOAT32_AT_1E4,
        ),
        _property(0.25, HANDS_OFF, cases.scores_float32, "out", "changed"),
    ),
    mistakes=mistakes2.log_softmax,
)

_scores = cases.labelled(cases.scores)

softmax_loss = Exercise(
    name="softmax_loss",
    run=runs.run_loss,
    oracle=oracles.softmax_loss,
    properties=(
        _property(1.25, "returns the right loss", _scores, "loss", rtol=EVERYDAY),
        _property(1.25, "returns the right `dx`", _scores, "dx", rtol=EVERYDAY),
        _property(
            0.5,
            HANDS_OFF,
            cases.labelled(cases.scores_float32),
            "loss",
            "dx",
            "changed",
            rtol=1e-4,
        ),
    ),
    mistakes=mistakes2.softmax_loss,
)

softmax_loss_stability = Exercise(
    name="softmax_loss_stability",
    run=runs.run_loss,
    oracle=oracles.softmax_loss,
    properties=(
        _property(
            1,
            _UP_TO_1E4,
            cases.labelled(cases.scores_large("float64")),
            "loss",
            "dx",
            "warnings",
        ),
        _property(
            0.5,
            _APART,
            cases.labelled(cases.scores_far_apart),
            "loss",
            "dx",
            "warnings",
        ),
        _property(
            0.5,
            _IN_FLOAT32,
            cases.labelled(cases.scores_large("float32")),
            "loss",
            "dx",
            "warnings",
            rtol=FLOAT32_AT_1E4,
        ),
    ),
    mistakes=mistakes2.softmax_loss_stability,
)

# --- the judge and the worksheet ----------------------------------------------------------

numerical_gradient = Exercise(
    name="numerical_gradient",
    run=runs.run_numerical_gradient,
    oracle=oracles.numerical_gradient,
    properties=(
        _property(
            1.25,
            "returns central differences for any shape",
            cases.gradients_plain,
            "grad",
            rtol=1e-6,
        ),
        _property(
            0.5,
            "uses the step that it is given",
            cases.gradients_with_step,
            "grad",
            rtol=1e-6,
        ),
        _property(
            0.75,
            "works for an x that is scattered in memory",
            cases.gradients_scattered,
            "grad",
            "changed",
            rtol=1e-6,
        ),
        _property(
            0.5,
            "leaves x as it was, to the last bit",
            cases.gradients_small,
            "grad",
            "changed",
            "how far x moved",
            rtol=1e-6,
        ),
    ),
    mistakes=mistakes2.numerical_gradient,
)


class PersonalExercise(Exercise):
    """An exercise whose numbers belong to one student."""

    def __call__(self, worksheet: Any) -> Report:
        named = _name_in(worksheet)
        who = student() or named or "me"
        exercise = replace(
            self,
            oracle=lambda: oracles.worksheet_answers(who),
            mistakes=mistakes2.worksheet(who, named),
        )
        return super(PersonalExercise, exercise).__call__(worksheet)


def _name_in(worksheet: Any) -> str | None:
    try:
        name = beside(runs.run_worksheet, (worksheet,), {}).get("student")
    except StudentError:
        return None
    return name if isinstance(name, str) and name.strip() else None


def _once(rng: Any) -> list[dict]:
    return [{}]


worksheet = PersonalExercise(
    name="worksheet",
    run=runs.run_worksheet,
    oracle=dict,
    properties=(
        _property(1, "has the right p, q, r, s", _once, "p", "q", "r", "s"),
        _property(1, "has the right e and L", _once, "e", "L"),
        _property(1, "has the right de, ds, dt", _once, "de", "ds", "dt"),
        _property(1, "has the right dr, dq, dp, db", _once, "dr", "dq", "dp", "db"),
        _property(1, "has the right dw", _once, "dw"),
        _property(1, "has the right dx", _once, "dx"),
    ),
)

# --- values -------------------------------------------------------------------------------


def _value_exercise(name: str, *properties: Property) -> Exercise:
    return Exercise(
        name=name,
        run=runs.run_value,
        oracle=oracles.value,
        properties=properties,
        mistakes=getattr(mistakes2, name),
    )


value_data = _value_exercise(
    "value_data",
    _property(
        1, "adds, subtracts, multiplies, divides", cases.value_arithmetic(False), "data"
    ),
    _property(
        1, "computes powers, exp, tanh, relu", cases.value_functions(False), "data"
    ),
)

_GRAD = ("data afterwards", "grad")

value_grad = _value_exercise(
    "value_grad",
    _property(
        1, "differentiates + - * / and negation", cases.value_arithmetic(True), *_GRAD
    ),
    _property(
        1, "differentiates powers, exp, tanh, relu", cases.value_functions(True), *_GRAD
    ),
    _property(0.5, "follows chains of operations", cases.value_chains, *_GRAD),
    _property(1, "adds up the gradients of reused nodes", cases.value_reused, *_GRAD),
    _property(0.5, "differentiates graphs of any form", cases.value_random, *_GRAD),
)

value_numbers = _value_exercise(
    "value_numbers",
    _property(0.5, "takes plain numbers on either side", cases.value_numbers, "data"),
    _property(0.5, "differentiates them", cases.value_numbers, *_GRAD),
)

value_deep = _value_exercise(
    "value_deep",
    _property(0.5, "differentiates 500 operations in a row", cases.value_deep, *_GRAD),
    _property(
        0.5, "visits each node once, however many paths", cases.value_paths, *_GRAD
    ),
)

# --- nets and training --------------------------------------------------------------------

_plain_net, _reg_net = cases.two_layer(0), cases.two_layer(0.3)

two_layer_net = Exercise(
    name="two_layer_net",
    run=runs.run_net,
    oracle=oracles.two_layer_net,
    properties=(
        _property(
            0.75,
            "starts as promised",
            cases.two_layer_start,
            "beginnings",
            compare=oracles.compare_start,
        ),
        _property(1, "returns the right scores", _plain_net, "output"),
        _property(0.5, "returns the right loss", _plain_net, "loss"),
        _property(0.75, "returns the right gradients", _plain_net, "grads"),
        _property(0.5, "regularizes its loss", _reg_net, "loss"),
        _property(0.75, "regularizes its gradients", _reg_net, "grads"),
        _property(
            0.75,
            "leaves X, y and its parameters as they were",
            _reg_net,
            "output",
            "loss",
            "grads",
            "params",
            "changed",
        ),
    ),
    mistakes=mistakes2.two_layer_net,
)

mario_net = Exercise(
    name="mario_net",
    run=runs.run_net,
    oracle=oracles.mario_net,
    properties=(
        _property(
            0.75,
            "starts as promised",
            cases.mario_start,
            "beginnings",
            compare=oracles.compare_start,
        ),
        _property(0.75, "returns the right predictions", cases.mario, "output"),
        _property(0.75, "returns the right loss", cases.mario, "loss"),
        _property(1.25, "returns the right gradients", cases.mario, "grads"),
        _property(
            0.5,
            "leaves X, y and its parameters as they were",
            cases.mario,
            "output",
            "loss",
            "grads",
            "params",
            "changed",
        ),
    ),
    mistakes=mistakes2.mario_net,
)

gradient_descent = Exercise(
    name="gradient_descent",
    run=runs.run_gradient_descent,
    oracle=oracles.gradient_descent,
    properties=(
        _property(
            1, "takes the parameters to the right place", cases.parabolas, "params"
        ),
        _property(0.5, "returns the losses", cases.parabolas, "losses"),
        _property(
            0.5,
            "leaves X and y as they were",
            cases.parabolas,
            "params",
            "losses",
            "changed",
        ),
    ),
    mistakes=mistakes2.gradient_descent,
)

digits = Exercise(
    name="digits",
    run=runs.run_digits,
    oracle=oracles.digits,
    properties=(
        _property(
            2,
            "names 80 % of new digits right",
            cases.digits,
            "labels",
            compare=oracles.compare_labels(0.80),
        ),
        _property(
            4,
            "names 95 % of new digits right",
            cases.digits,
            "labels",
            compare=oracles.compare_labels(0.95),
        ),
    ),
)
