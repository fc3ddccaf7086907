"""Topic 01, the wrong answers that we know, each with what a student reads about it.

The same wrong answers, handed in as submissions, test the checks.
"""

from collections.abc import Callable

from grader.checking import Mistake
from grader.checks import backprop_answers as right
from grader.mistakes import edited


def table(
    answer: Callable, *rows: tuple, before: tuple[Callable, ...] = ()
) -> tuple[Mistake, ...]:
    """Return mistakes from rows of (name, message, edits…) of one answer.

    ``before`` are right functions that stand before the answer in ``run``.
    """
    return tuple(
        Mistake(name=name, message=message, functions=(*before, edited(answer, *edits)))
        for name, message, *edits in rows
    )


def in_place(thing: str) -> str:
    return f"your code changes `{thing}` in place: make a new array, and leave what was given"


FLOAT64 = "float32 in gives float64 out: give results the dtype of the input"

affine_forward = table(
    right.affine_forward,
    ("no bias", "the bias is not added", ("@ w + b", "@ w")),
    ("bias subtracted", "the bias is subtracted, not added", ("@ w + b", "@ w - b")),
    (
        "bias scaled",
        "the bias is added more than once: it belongs to the product, once",
        ("@ w + b", "@ w + len(x) * b"),
    ),
    (
        "flattened column by column",
        "x is flattened in another order than row by row: reshape with its usual order",
        ("-1)", '-1, order="F")'),
    ),
    (
        "batch axis flattened away",
        "the batch axis got lost: keep the first axis, flatten the others",
        ("x.reshape(x.shape[0], -1)", "x.reshape(-1, x.shape[0]).T"),
    ),
    (
        "x not flattened",
        "x is multiplied as it is: flatten each sample to a row first",
        ("x.reshape(x.shape[0], -1)", "x"),
    ),
    (
        "weights transposed",
        "w is used transposed: it is (D, M), so the product is x w",
        ("rows @ w", "rows @ w.T"),
    ),
    (
        "x takes another shape",
        in_place("x") + " (setting its `shape` is a change, too)",
        ("rows = x.reshape(x.shape[0], -1)", "x.shape = (len(x), -1); rows = x"),
    ),
    ("float64", FLOAT64, ("@ w + b", '@ w.astype("float64") + b')),
    (
        "only the output",
        "the function returns its output alone: return (out, cache)",
        ("return out, (x, w)", "return out"),
    ),
)

affine_backward = table(
    right.affine_backward,
    (
        "dx keeps rows",
        "your `dx` has flattened samples: give it the shape of x",
        (".reshape(x.shape)\n", "\n"),
    ),
    (
        "dx without transposing w",
        "your `dx` multiplies dout by w instead of by w transposed",
        ("dout @ w.T", "dout @ w"),
    ),
    (
        "dx averaged",
        "your `dx` is divided by the batch size: the mean belongs to the loss, which has"
        " put it into dout already",
        ("(dout @ w.T)", "(dout @ w.T / len(x))"),
    ),
    (
        "dw transposed",
        "your `dw` is transposed: it has the shape of w, (D, M)",
        ("rows.T @ dout", "dout.T @ rows"),
    ),
    (
        "dw averaged",
        "your `dw` is divided by the batch size: the mean belongs to the loss, which has"
        " put it into dout already",
        ("rows.T @ dout", "rows.T @ dout / len(x)"),
    ),
    (
        "dw from other rows",
        "your `dw` flattens x in another order than the forward pass",
        ("x.shape[0], -1)", 'x.shape[0], -1, order="F")'),
    ),
    (
        "db not summed",
        "your `db` is not summed over the batch: b was added to every sample",
        ("dout.sum(axis=0)", "dout"),
    ),
    (
        "db averaged",
        "your `db` is a mean over the batch, where a sum is needed",
        ("dout.sum(axis=0)", "dout.mean(axis=0)"),
    ),
    (
        "db summed over outputs",
        "your `db` is summed over the outputs, not over the batch",
        ("dout.sum(axis=0)", "dout.sum(axis=1)"),
    ),
    (
        "db keeps an axis",
        "your `db` is (1, M), where (M,) is promised",
        ("dout.sum(axis=0)", "dout.sum(axis=0, keepdims=True)"),
    ),
    (
        "db of the first sample",
        "your `db` takes one sample of the batch, where the sum over all is needed",
        ("dout.sum(axis=0)", "dout[0]"),
    ),
    (
        "x takes another shape",
        "your backward pass sets the shape of x in place: that changes the cache, and a"
        " second call sees it",
        ("rows = x.reshape(x.shape[0], -1)", "x.shape = (len(x), -1); rows = x"),
    ),
    (
        "dout scaled in place",
        in_place("dout"),
        ("db = dout.sum(axis=0)", "db = dout.sum(axis=0); dout *= 0"),
    ),
    (
        "float64",
        FLOAT64,
        ("x, w = cache", 'x, w = (a.astype("float64") for a in cache)'),
    ),
    before=(right.affine_forward,),
)

relu_forward = table(
    right.relu_forward,
    (
        "in place",
        in_place("x"),
        ("np.maximum(x, 0)", "x; out[x < 0] = 0"),
    ),
    (
        "absolute value",
        "negative entries are made positive",
        ("np.maximum(x, 0)", "abs(x)"),
    ),
    ("minimum", "the negative side is kept, not the positive", ("maximum", "minimum")),
    ("leaky", "negative entries leak through: they become 0", (", 0)", ", 0.1 * x)")),
    (
        "leaky 0.01",
        "negative entries leak through: they become 0",
        (", 0)", ", 0.01 * x)"),
    ),
    ("capped", "large entries are cut off", ("np.maximum(x, 0)", "x.clip(0, 1)")),
    (
        "mask",
        "the result is where x is positive, not x there",
        ("np.maximum(x, 0)", "1.0 * (x > 0)"),
    ),
    ("float64", FLOAT64, ("np.maximum(x, 0)", 'np.maximum(x, 0).astype("float64")')),
)

relu_backward = table(
    right.relu_backward,
    (
        "mask of dout",
        "the mask comes from dout: it is the sign of x that decides",
        ("cache > 0", "dout > 0"),
    ),
    (
        "no mask",
        "dout passes everywhere: it passes where x was positive",
        (" * (cache > 0)", " * 1"),
    ),
    (
        "mask inverted",
        "dout passes where x was negative, not positive",
        ("cache > 0", "cache < 0"),
    ),
    (
        "dout missing",
        "the result is the slope alone: multiply it by dout",
        ("dout * (cache > 0)", "(cache > 0).astype(dout.dtype)"),
    ),
    (
        "times x",
        "dout is multiplied by relu(x): the slope there is 1",
        ("(cache > 0)", "cache * (cache > 0)"),
    ),
    (
        "relu of dout",
        "the result is relu of dout: dout may well be negative",
        ("dout * (cache > 0)", "dout.clip(0) * (cache > 0)"),
    ),
    (
        "in place",
        in_place("dout"),
        ("dx = dout * (cache > 0)", "dx = dout; dx[cache <= 0] = 0"),
    ),
    ("float64", FLOAT64, ("(cache > 0)", '(cache > 0).astype("float64")')),
    before=(right.relu_forward,),
)

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
        "the exponentials are divided by their sum, as in a softmax: the sigmoid treats each entry alone",
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
        message="exp(x) / (1 + exp(x)) overflows for x far above 0: use it for x < 0 only",
        functions=_both((_SIGMOID, "np.exp(x) / (1 + np.exp(x))")),
    ),
    Mistake(
        name="where computes both",
        message="np.where computes both of its branches for all entries, so the one that"
        " overflows still does: take exp of -|x|, or compute each branch on its entries",
        functions=_both(
            (
                _SIGMOID,
                "np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))",
            )
        ),
    ),
    Mistake(
        name="powers of the slope",
        message="the backward pass computes exp of large numbers: out (1 - out) needs none",
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

leaky_relu_forward = table(
    right.leaky_relu_forward,
    (
        "slope 0.01",
        "the slope on the negative side is 0.1 here, not 0.01",
        ("0.1", "0.01"),
    ),
    (
        "plain relu",
        "negative entries become 0: they keep a slope of 0.1",
        ("x * 0.1", "0 * x"),
    ),
    (
        "constant leak",
        "negative entries become 0.1 whatever they are: multiply them by it",
        ("x * 0.1", "0.1 + 0 * x"),
    ),
    ("sign", "negative entries become positive", ("x * 0.1", "x * -0.1")),
    ("other side", "the slope 0.1 is on the positive side", ("x > 0", "x < 0")),
    (
        "in place",
        in_place("x"),
        ("np.where(x > 0, x, x * 0.1)", "x; out[x < 0] *= 0.1"),
    ),
    ("float64", FLOAT64, ("x * 0.1)", 'x * 0.1).astype("float64")')),
)

leaky_relu_backward = table(
    right.leaky_relu_backward,
    (
        "slope 0.01",
        "the slope on the negative side is 0.1 here, not 0.01",
        ("0.1", "0.01"),
    ),
    (
        "plain relu",
        "where x is negative the gradient is 0: it keeps a tenth of dout",
        ("dout * 0.1", "0 * dout"),
    ),
    (
        "mask of dout",
        "the sign of dout decides: it is the sign of x that does",
        ("cache > 0", "dout > 0"),
    ),
    ("other side", "the slope 0.1 is on the positive side", ("cache > 0", "cache < 0")),
    (
        "no mask",
        "dout passes unchanged everywhere: where x is negative, a tenth of it does",
        ("dout * 0.1", "dout"),
    ),
    (
        "dout missing",
        "the result is the slope alone: multiply it by dout",
        ("dout, dout * 0.1)", "1, 0.1).astype(dout.dtype)"),
    ),
    (
        "in place",
        in_place("dout"),
        (
            "dx = np.where(cache > 0, dout, dout * 0.1)",
            "dx = dout; dx[cache < 0] *= 0.1",
        ),
    ),
    ("float64", FLOAT64, ("dout * 0.1)", 'dout * 0.1).astype("float64")')),
    before=(right.leaky_relu_forward,),
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
            "won = np.isclose(cache, cache.max(axis=-1, keepdims=True)); dx += dout[..., None] * won / won.sum(axis=-1, keepdims=True)",
        ),
    ),
    (
        "whole to each",
        "at a tie, every tied piece gets the whole of dout: what they get has to add up to it",
        (_PUT, "dx += dout[..., None] * (cache == cache.max(axis=-1, keepdims=True))"),
    ),
    (
        "none at ties",
        "at a tie, nobody gets the gradient",
        (
            _PUT,
            "won = cache == cache.max(axis=-1, keepdims=True); dx += dout[..., None] * won * (won.sum(axis=-1, keepdims=True) == 1)",
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
