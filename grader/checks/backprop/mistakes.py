"""Topic 01, the wrong answers that we know, each with what a student reads about it.

The same wrong answers, handed in as submissions, test the checks. Here are those of the
affine layer, of the activations made of straight pieces, and of the numerical gradient.
"""

from grader.checks.backprop import answers as right
from grader.mistakes import FLOAT64, in_place, table

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
        "your `dx` is divided by the batch size: the mean belongs to the loss, which"
        " has put it into dout already",
        ("(dout @ w.T)", "(dout @ w.T / len(x))"),
    ),
    (
        "dw transposed",
        "your `dw` is transposed: it has the shape of w, (D, M)",
        ("rows.T @ dout", "dout.T @ rows"),
    ),
    (
        "dw averaged",
        "your `dw` is divided by the batch size: the mean belongs to the loss, which"
        " has put it into dout already",
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

numerical_gradient = table(
    right.numerical_gradient,
    (
        "one side",
        "this is a one-sided difference: step to both sides of x",
        ("kept - h", "kept"),
        ("2 * h", "h"),
    ),
    ("not doubled", "the two points are 2h apart: divide by 2h", ("(2 * h)", "h")),
    (
        "half steps",
        "the step is h to each side, not h/2",
        ("kept + h", "kept + h / 2"),
        ("kept - h", "kept - h / 2"),
        ("2 * h", "h"),
    ),
    (
        "own step",
        "the step is not the h that was given",
        ("    grad = np", "    h = 1e-5\n    grad = np"),
    ),
    (
        "sign",
        "the difference is the wrong way round",
        ("above - below", "below - above"),
    ),
    (
        "all at once",
        "all entries move at once: move one at a time",
        ("grad[i] = (above - below)", "grad[i] = (f(x + h) - f(x - h))"),
    ),
    (
        "first axis only",
        "only the first entry along the other axes is moved",
        ("np.ndindex(x.shape)", "[(k, *[0] * (x.ndim - 1)) for k in range(len(x))]"),
    ),
    (
        "rounding left in x",
        "h is added and taken away again, which leaves rounding errors in x: keep the"
        " old value, and put that back",
        ("x[i] = kept + h", "x[i] += h"),
        ("x[i] = kept - h", "x[i] -= 2 * h"),
        ("        x[i] = kept\n", "        x[i] += h\n"),
    ),
    (
        "not put back",
        "the entry that was moved is not put back before the next one moves",
        ("        x[i] = kept\n", ""),
    ),
    (
        "flat copy",
        "reshape and ravel copy an x that is scattered in memory, so what you move is"
        " not what f sees: index x itself, or work on a copy that you also hand to f",
        (
            "    grad = np.zeros(x.shape)\n",
            "    grad, whole = np.zeros(x.size), x\n    x = x.reshape(-1)\n",
        ),
        ("np.ndindex(x.shape)", "range(x.size)"),
        ("above = f(x)", "above = f(whole)"),
        ("below = f(x)", "below = f(whole)"),
        ("return grad", "return grad.reshape(whole.shape)"),
    ),
    (
        "flat result",
        "the result is flat: give it the shape of x",
        ("return grad", "return grad.ravel()"),
    ),
)
