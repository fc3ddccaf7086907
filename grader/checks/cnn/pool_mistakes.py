"""Topic 04, known wrong answers: pooling."""

from grader.checks.cnn import answers as right
from grader.mistakes import FLOAT64, in_place, table

_SWAPPED = (
    'high, wide = pool_param["pool_height"], pool_param["pool_width"]',
    'wide, high = pool_param["pool_height"], pool_param["pool_width"]',
)

_FORWARD = (
    (
        "square window",
        "the window is taken for a square: height and width may differ",
        ('pool_param["pool_width"]', 'pool_param["pool_height"]'),
    ),
    (
        "height and width swapped",
        "height and width of the window are swapped",
        _SWAPPED,
    ),
    (
        "stride ignored",
        "the stride is ignored where windows start: they lie `stride` pixels apart",
        ("i * s : i * s + high, j * s : j * s + wide", "i : i + high, j : j + wide"),
    ),
    (
        "side by side",
        "windows are laid side by side: they lie `stride` pixels apart, which may be"
        " less than their size, or more",
        (
            "i * s : i * s + high, j * s : j * s + wide",
            "i * high : (i + 1) * high, j * wide : (j + 1) * wide",
        ),
    ),
    (
        "as large as the stride",
        "windows are as large as the stride: their size is pool_height x pool_width",
        (
            "i * s : i * s + high, j * s : j * s + wide",
            "i * s : (i + 1) * s, j * s : (j + 1) * s",
        ),
    ),
    (
        "rounded up",
        "windows that stick out of the image are counted: sizes round down",
        (
            "(H - high) // s + 1, (W - wide) // s + 1",
            "-((high - H) // s) + 1, -((wide - W) // s) + 1",
        ),
    ),
    (
        "channels mixed",
        "channels are pooled together: each is pooled by itself",
        (
            "    return out, ",
            "    out[:] = out.mean(axis=1, keepdims=True)\n    return out, ",
        ),
    ),
    (
        "pool_param emptied",
        in_place("pool_param"),
        ('pool_param["stride"]', 'pool_param.pop("stride")'),
    ),
    ("float64", FLOAT64, ("(N, C, rows, cols), x.dtype", "(N, C, rows, cols)")),
)

max_pool_forward_naive = table(
    right.max_pool_forward_naive,
    *_FORWARD,
    (
        "average",
        "this is the average of the window: take its maximum",
        (".max(", ".mean("),
    ),
    (
        "minimum",
        "this is the minimum of the window: take its maximum",
        (".max(", ".min("),
    ),
    (
        "magnitude",
        "the entry of largest magnitude is taken: the largest number is asked for",
        ("patch.max(axis=(2, 3))", "abs(patch).max(axis=(2, 3))"),
    ),
    (
        "never negative",
        "the maximum starts at 0, so negative windows give 0",
        ("patch.max(axis=(2, 3))", "patch.max(axis=(2, 3), initial=0)"),
    ),
    (
        "only the output",
        "the function returns its output alone: return (out, cache)",
        ("return out, (x, high, wide, s)", "return out"),
    ),
)

avg_pool_forward_naive = table(
    right.avg_pool_forward_naive,
    *_FORWARD,
    ("sum", "this is the sum of the window: divide by its size", (".mean(", ".sum(")),
    ("maximum", "this is the maximum of the window: average it", (".mean(", ".max(")),
    (
        "divided by height squared",
        "the sum is divided by the square of the window's height: its size is height"
        " times width",
        ("patch.mean(axis=(2, 3))", "patch.sum(axis=(2, 3)) / high**2"),
    ),
    (
        "divided by the stride",
        "the sum is divided by the square of the stride: the window's size is height"
        " times width",
        ("patch.mean(axis=(2, 3))", "patch.sum(axis=(2, 3)) / s**2"),
    ),
    (
        "only the output",
        "the function returns its output alone: return (out, cache)",
        ("return out, (x.shape, high, wide, s)", "return out"),
    ),
)

_WINDOW = "dx[n, c, top : top + high, left : left + wide]"

max_pool_backward_naive = table(
    right.max_pool_backward_naive,
    (
        "whole gradient to each tied entry",
        "each entry that ties for a maximum gets all of dout: together they get it"
        " once",
        (
            "        dx[n, c, top + u, left + v] += dout[n, c, i, j]\n",
            f"        {_WINDOW} += (patch == patch.max()) * dout[n, c, i, j]\n",
        ),
    ),
    (
        "overwritten",
        "your `dx` keeps what the last window sent: an entry that wins in several"
        " windows adds up",
        ("+= dout", "= dout"),
    ),
    (
        "window overwritten",
        "each window sets all of its entries, losers to 0, and wipes out what windows"
        " before it sent: add up instead",
        (
            "        dx[n, c, top + u",
            f"        {_WINDOW} = 0\n        dx[n, c, top + u",
        ),
    ),
    (
        "to the whole window",
        "every entry of a window gets dout: only the maximum does",
        ("dx[n, c, top + u, left + v] +=", f"{_WINDOW} +="),
    ),
    (
        "shared like an average",
        "dout is shared by the whole window, as for average pooling: the maximum gets"
        " it",
        (
            "dx[n, c, top + u, left + v] += dout[n, c, i, j]",
            f"{_WINDOW} += dout[n, c, i, j] / (high * wide)",
        ),
    ),
    ("minimum", "the minimum gets dout: it is the maximum's", ("argmax", "argmin")),
    (
        "times the maximum",
        "dout is multiplied by the maximum: the slope of a maximum is 1",
        ("+= dout[n, c, i, j]", "+= dout[n, c, i, j] * patch.max()"),
    ),
    (
        "dout missing",
        "the winners get 1: they get dout",
        ("+= dout[n, c, i, j]", "+= 1"),
    ),
    (
        "square window",
        "the place of the winner is found as in a square: height and width may differ",
        ("patch.argmax()), wide)", "patch.argmax()), high)"),
    ),
    (
        "stride ignored",
        "the stride is ignored on the way back: windows lie `stride` pixels apart",
        ("i * s, j * s", "i, j"),
    ),
    (
        "side by side",
        "windows are laid side by side on the way back: they lie `stride` pixels apart",
        (
            "i * s, j * s",
            "min(i * high, x.shape[2] - high), min(j * wide, x.shape[3] - wide)",
        ),
    ),
    (
        "border cut off",
        "your `dx` is smaller than x: a border that no window reaches gets 0",
        (
            "np.zeros(x.shape, dout.dtype)",
            "np.zeros((*x.shape[:2], (dout.shape[2] - 1) * s + high,"
            " (dout.shape[3] - 1) * s + wide), dout.dtype)",
        ),
    ),
    (
        "dout scaled in place",
        in_place("dout"),
        ("    return dx", "    dout *= 0\n    return dx"),
    ),
    (
        "written into x",
        "your backward pass writes into the cache: a second call sees it",
        (
            "    dx = np.zeros(x.shape, dout.dtype)\n",
            "    dx = np.zeros(x.shape, dout.dtype)\n    given = x\n    x = x.copy()\n",
        ),
        ("    return dx", "    given[...] = dx\n    return dx"),
    ),
    ("float64", FLOAT64, ("x.shape, dout.dtype", "x.shape")),
    before=(right.max_pool_forward_naive,),
)

avg_pool_backward_naive = table(
    right.avg_pool_backward_naive,
    (
        "not divided",
        "every entry of a window gets all of dout: it is shared by the entries",
        ("dout[:, :, i, j] / (high * wide)", "dout[:, :, i, j]"),
    ),
    (
        "overwritten",
        "your `dx` keeps what the last window sent: where windows overlap, it adds up",
        ("+= share", "= share"),
    ),
    (
        "divided by height squared",
        "dout is divided by the square of the window's height: its size is height times"
        " width",
        ("(high * wide)", "high**2"),
    ),
    (
        "divided by the stride",
        "dout is divided by the square of the stride: the window's size is height times"
        " width",
        ("(high * wide)", "s**2"),
    ),
    (
        "square window",
        "the window is taken for a square: height and width may differ",
        ("left : left + wide", "left : left + high"),
        ("(high * wide)", "high**2"),
    ),
    (
        "one entry",
        "the corner of a window gets all of dout: it is shared by the entries",
        (
            "dx[:, :, top : top + high, left : left + wide] +=",
            "dx[:, :, top : top + 1, left : left + 1] += high * wide *",
        ),
    ),
    (
        "stride ignored",
        "the stride is ignored on the way back: windows lie `stride` pixels apart",
        ("i * s, j * s", "i, j"),
    ),
    (
        "border cut off",
        "your `dx` is smaller than x: a border that no window reaches gets 0",
        (
            "np.zeros(shape, dout.dtype)",
            "np.zeros((*shape[:2], (dout.shape[2] - 1) * s + high,"
            " (dout.shape[3] - 1) * s + wide), dout.dtype)",
        ),
    ),
    (
        "averaged over images",
        "your `dx` is divided by the batch size: the mean belongs to the loss, which"
        " has put it into dout already",
        ("(high * wide)", "(high * wide) / shape[0]"),
    ),
    (
        "dout scaled in place",
        in_place("dout"),
        ("    return dx", "    dout /= high * wide\n    return dx"),
    ),
    ("float64", FLOAT64, ("shape, dout.dtype", "shape")),
    before=(right.avg_pool_forward_naive,),
)
