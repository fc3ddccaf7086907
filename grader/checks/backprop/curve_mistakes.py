"""Topic 01, known wrong answers: sigmoid, tanh, maxout."""

from grader.checking import Mistake
from grader.checks.backprop import answers as right
from grader.mistakes import FLOAT64, edited, in_place, table

_SIGMOID = "0.5 * np.tanh(0.5 * x) + 0.5"

sigmoid_forward = table(
    right.sigmoid_forward,
    (
        "sign",
        "the sign of the exponent is wrong: the sigmoid rises",
        ("(0.5 * x)", "(-0.5 * x)"),
    ),
    (
        "tanh",
        "this is tanh: the sigmoid lies between 0 and 1",
        (_SIGMOID, "np.tanh(x)"),
    ),
    (
        "half the argument",
        "the sigmoid is (1 + tanh(x/2)) / 2: the argument is halved",
        ("0.5 * x", "x"),
    ),
    (
        "softmax",
        "the exponentials are divided by their sum, as in a softmax: the sigmoid"
        " treats each entry alone",
        (_SIGMOID, "np.exp(x) / np.exp(x).sum()"),
    ),
    (
        "hard",
        "the curve is made of straight pieces",
        (_SIGMOID, "(x / 4 + 0.5).clip(0, 1)"),
    ),
    (
        "clipped",
        "x is clipped so tightly that values within a few units change",
        (_SIGMOID, "1 / (1 + np.exp(-x.clip(-3, 3)))"),
    ),
    ("in place", in_place("x"), (_SIGMOID, "0.5 * np.tanh(0.5 * x) + 0.5; x *= -1")),
    ("float64", FLOAT64, (_SIGMOID, '0.5 * np.tanh(0.5 * x.astype("float64")) + 0.5')),
)

sigmoid_backward = table(
    right.sigmoid_backward,
    (
        "of x",
        "the slope is computed from x, where out is needed: out (1 - out)",
        ("out * (1 - out)", "x * (1 - x)"),
    ),
    (
        "dout missing",
        "the result is the slope alone: multiply it by dout",
        ("dout * out", "out"),
    ),
    ("sign", "the slope is out (1 - out), with a minus", ("1 - out", "1 + out")),
    (
        "tanh's slope",
        "1 - out squared is the slope of tanh; the sigmoid's is out (1 - out)",
        ("out * (1 - out)", "(1 - out * out)"),
    ),
    (
        "sigmoid twice",
        "the sigmoid is applied to out once more before the slope is taken",
        ("x, out = cache", "x, out = cache; out = 1 / (1 + np.exp(-out))"),
    ),
    (
        "one factor",
        "the slope lacks a factor: it is out (1 - out)",
        ("out * (1 - out)", "(1 - out)"),
    ),
    (
        "in place",
        in_place("dout"),
        ("dx = dout * out * (1 - out)", "dout *= out * (1 - out); dx = dout"),
    ),
    ("float64", FLOAT64, ("dout * out", 'dout * out.astype("float64")')),
    before=(right.sigmoid_forward,),
)


def _both(forward_edit: tuple, backward_edit: tuple | None = None) -> tuple:
    forward = edited(right.sigmoid_forward, forward_edit)
    edits = [backward_edit] if backward_edit else []
    return forward, edited(right.sigmoid_backward, *edits)


sigmoid_stability = (
    Mistake(
        name="overflow",
        message="exp(-x) overflows for x far below 0: use exp(x) / (1 + exp(x)) there",
        functions=_both((_SIGMOID, "1 / (1 + np.exp(-x))")),
    ),
    Mistake(
        name="infinity over infinity",
        message="exp(x) / (1 + exp(x)) overflows for x far above 0: use it for x < 0"
        " only",
        functions=_both((_SIGMOID, "np.exp(x) / (1 + np.exp(x))")),
    ),
    Mistake(
        name="where computes both",
        message="np.where computes both of its branches for all entries, so the one"
        " that overflows still does: take exp of -|x|, or compute each branch on its"
        " entries",
        functions=_both(
            (
                _SIGMOID,
                "np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))",
            )
        ),
    ),
    Mistake(
        name="powers of the slope",
        message="the backward pass computes exp of large numbers: out (1 - out) needs"
        " none",
        functions=_both(
            ("out)", "out)"), ("out * (1 - out)", "np.exp(-x) / (1 + np.exp(-x)) ** 2")
        ),
    ),
    Mistake(
        name="clipped",
        message="x is clipped so tightly that values change",
        functions=_both((_SIGMOID, "1 / (1 + np.exp(-x.clip(-5, 5)))")),
    ),
)

tanh_forward = table(
    right.tanh_forward,
    (
        "sigmoid",
        "this is the sigmoid: tanh lies between -1 and 1",
        ("np.tanh(x)", "1 / (1 + np.exp(-x))"),
    ),
    (
        "sigmoid of x stretched",
        "tanh(x) is 2 sigmoid(2x) - 1: the argument is doubled",
        ("np.tanh(x)", "np.tanh(0.5 * x)"),
    ),
    ("sign", "the sign is wrong: tanh rises", ("np.tanh(x)", "np.tanh(-x)")),
    ("sinh", "the denominator is missing: sinh / cosh", ("np.tanh(x)", "np.sinh(x)")),
    (
        "arctan",
        "this is another curve that looks alike: arctan",
        ("np.tanh(x)", "np.arctan(x)"),
    ),
    ("hard", "the curve is made of straight pieces", ("np.tanh(x)", "x.clip(-1, 1)")),
    (
        "overflow",
        "exp overflows for large x: use np.tanh, or powers of -|x| only",
        ("np.tanh(x)", "(np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))"),
    ),
    (
        "overflow of one",
        "exp overflows for large x: use np.tanh, or powers of -|x| only",
        ("np.tanh(x)", "(np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)"),
    ),
    ("in place", in_place("x"), ("np.tanh(x)", "np.tanh(x, out=x)")),
    ("float64", FLOAT64, ("np.tanh(x)", 'np.tanh(x.astype("float64"))')),
)

tanh_backward = table(
    right.tanh_backward,
    (
        "not squared",
        "the slope is 1 - out squared: the square is missing",
        ("out * out", "out"),
    ),
    (
        "of x",
        "the slope is computed from x, where out is needed: 1 - out squared",
        ("out * out", "x * x"),
    ),
    (
        "sigmoid's slope",
        "out (1 - out) is the sigmoid's slope; that of tanh is 1 - out squared",
        ("(1 - out * out)", "out * (1 - out)"),
    ),
    (
        "dout missing",
        "the result is the slope alone: multiply it by dout",
        ("dout * (1", "(1"),
    ),
    ("sign", "the slope is 1 - out squared, with a minus", ("1 - out", "1 + out")),
    (
        "tanh twice",
        "tanh is applied to out once more before the slope is taken",
        ("x, out = cache", "x, out = cache; out = np.tanh(out)"),
    ),
    (
        "in place",
        in_place("dout"),
        ("dx = dout * (1 - out * out)", "dout *= 1 - out * out; dx = dout"),
    ),
    ("float64", FLOAT64, ("(1 - out * out)", '(1 - out * out).astype("float64")')),
    before=(right.tanh_forward,),
)

maxout_forward = table(
    right.maxout_forward,
    (
        "first axis",
        "the maximum is over the first axis, not over the last",
        ("axis=-1", "axis=0"),
    ),
    (
        "all axes",
        "the maximum is over everything, not over the last axis alone",
        ("axis=-1", ""),
    ),
    (
        "axis kept",
        "the last axis is still there, with length 1",
        ("axis=-1", "axis=-1, keepdims=True"),
    ),
    ("mean", "this is the mean of the pieces, not the largest", ("x.max", "x.mean")),
    ("sum", "this is the sum of the pieces, not the largest", ("x.max", "x.sum")),
    ("minimum", "this is the smallest piece, not the largest", ("x.max", "x.min")),
    (
        "index",
        "this is the place of the largest piece, not its value",
        ("x.max", "x.argmax"),
    ),
    (
        "relu too",
        "a ReLU is applied too: a maximum below 0 stays below 0",
        ("axis=-1)", "axis=-1).clip(0)"),
    ),
    ("in place", in_place("x"), ("x.max(axis=-1)", "x.max(axis=-1); x.sort(axis=-1)")),
    ("float64", FLOAT64, ("axis=-1)", 'axis=-1).astype("float64")')),
)

_PUT = "np.put_along_axis(dx, first, dout[..., None], axis=-1)"

maxout_backward = table(
    right.maxout_backward,
    (
        "near ties",
        "pieces that nearly tie share the gradient: only exact ties do",
        (
            _PUT,
            "won = np.isclose(cache, cache.max(axis=-1, keepdims=True)); dx +="
            " dout[..., None] * won / won.sum(axis=-1, keepdims=True)",
        ),
    ),
    (
        "whole to each",
        "at a tie, every tied piece gets the whole of dout: what they get has to add"
        " up to it",
        (_PUT, "dx += dout[..., None] * (cache == cache.max(axis=-1, keepdims=True))"),
    ),
    (
        "none at ties",
        "at a tie, nobody gets the gradient",
        (
            _PUT,
            "won = cache == cache.max(axis=-1, keepdims=True); dx += dout[..., None] *"
            " won * (won.sum(axis=-1, keepdims=True) == 1)",
        ),
    ),
    (
        "everyone",
        "all pieces get dout: only the largest one does",
        (_PUT, "dx += dout[..., None]"),
    ),
    (
        "shared by all",
        "dout is shared by all pieces, as for a mean: only the largest one gets it",
        (_PUT, "dx += dout[..., None] / cache.shape[-1]"),
    ),
    (
        "smallest",
        "the smallest piece gets the gradient, not the largest",
        ("argmax", "argmin"),
    ),
    (
        "dout missing",
        "the result is where the largest piece stands: multiply it by dout",
        ("dout[..., None], axis", "1.0, axis"),
    ),
    (
        "axis lost",
        "the result has the shape of dout: it needs the last axis of x",
        ("return dx", "return dx.sum(axis=-1)"),
    ),
    ("in place", in_place("dout"), ("return dx", "dout *= 0; return dx")),
    ("float64", FLOAT64, ("return dx", 'return dx.astype("float64")')),
    before=(right.maxout_forward,),
)
