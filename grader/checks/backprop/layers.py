"""Topic 01, the checks of the layers."""

from grader.checking import Exercise, Mistake, Property
from grader.checks.backprop import cases, mistakes, oracles, runs
from grader.checks.backprop import curve_mistakes as curves
from grader.checks.promises import HANDS_OFF, promise

affine_forward = Exercise(
    name="affine_forward",
    run=runs.run_affine_forward,
    oracle=oracles.affine_forward,
    properties=(
        promise(1.5, "returns the right `out` for any shape", cases.affine, "out"),
        promise(0.5, HANDS_OFF, cases.affine_float32, "out", "changed"),
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
        promise(1.5, "returns the right `dx`", _affine, "dx"),
        promise(1.5, "returns the right `dw`", _affine, "dw"),
        promise(1, "returns the right `db`", _affine, "db"),
        promise(0.5, "keeps float32", _affine_float32, "dx", "dw", "db"),
        promise(
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


def _forward(
    name: str, known: tuple[Mistake, ...], *extra: Property, points: float = 0.75
) -> Exercise:
    prefix = "maxout" if name == "maxout" else "activation"
    plain, small = getattr(cases, prefix), getattr(cases, f"{prefix}_float32")
    return Exercise(
        name=f"{name}_forward",
        run=runs.run_forward,
        oracle=oracles.forward(name),
        properties=(
            promise(points, "returns the right `out` for any shape", plain, "out"),
            *extra,
            promise(0.25, HANDS_OFF, small, "out", "changed"),
        ),
        mistakes=known,
    )


def _backward(
    name: str, known: tuple[Mistake, ...], *extra: Property, points: float = 0.75
) -> Exercise:
    prefix = "maxout" if name == "maxout" else "activation"
    with_dout = cases.reduced_dout if name == "maxout" else cases.same_shape_dout
    plain = with_dout(getattr(cases, prefix))
    small = with_dout(getattr(cases, f"{prefix}_float32"))
    return Exercise(
        name=f"{name}_backward",
        run=runs.run_backward,
        oracle=oracles.maxout_backward if name == "maxout" else oracles.backward(name),
        properties=(
            promise(points, "returns the right `dx` for any shape", plain, "dx"),
            *extra,
            promise(0.25, HANDS_OFF, small, "dx", "changed", _AGAIN),
        ),
        mistakes=known,
    )


_FAR = "stays right, without a warning, for x up to 1000 on either side"

_extreme = cases.same_shape_dout(cases.activation_extreme)

relu_forward = _forward("relu", mistakes.relu_forward)

relu_backward = _backward("relu", mistakes.relu_backward)

sigmoid_forward = _forward("sigmoid", curves.sigmoid_forward)

sigmoid_backward = _backward("sigmoid", curves.sigmoid_backward)

tanh_forward = _forward(
    "tanh",
    curves.tanh_forward,
    promise(0.25, _FAR, cases.activation_extreme, "out", "warnings"),
    points=0.5,
)

tanh_backward = _backward(
    "tanh",
    curves.tanh_backward,
    promise(0.25, _FAR, _extreme, "dx", "warnings"),
    points=0.5,
)

leaky_relu_forward = _forward("leaky_relu", mistakes.leaky_relu_forward)

leaky_relu_backward = _backward("leaky_relu", mistakes.leaky_relu_backward)

maxout_forward = _forward("maxout", curves.maxout_forward)

maxout_backward = _backward(
    "maxout",
    curves.maxout_backward,
    promise(
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
        promise(0.5, "is right for x up to 1000 on either side", _extreme, "out", "dx"),
        promise(0.5, "brings no warning there", _extreme, "out", "dx", "warnings"),
    ),
    mistakes=curves.sigmoid_stability,
)
