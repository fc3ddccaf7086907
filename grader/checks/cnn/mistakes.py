"""Topic 04, the wrong answers that we know, each with what a student reads about it.

The same wrong answers, handed in as submissions, test the checks. Here are those of
convolutions.
"""

from grader.checks.cnn import answers as right
from grader.mistakes import FLOAT64, in_place, table

FLIPPED = (
    "the kernel is flipped, as in mathematics: here it lies on the image as it is"
    " (cross-correlation)"
)

# --- forwards: the same slips, whether with loops or with one matrix product ---

_COLUMNS = "windows.reshape(N * rows * cols, C * HH * WW)"

_FORWARD = (
    ("no bias", "the bias is not added", ("+ b\n", "\n")),
    ("bias subtracted", "the bias is subtracted, not added", ("+ b\n", "- b\n")),
    (
        "bias per channel",
        "the bias is added once for each channel: it belongs to the filter, once",
        ("+ b\n", "+ x.shape[1] * b\n"),
    ),
    (
        "averaged",
        "the products are averaged: add them up",
        ("+ b\n", "/ w[0].size + b\n"),
    ),
    (
        "kernel flipped",
        FLIPPED,
        ("    s, p = conv", "    w = w[:, :, ::-1, ::-1]\n    s, p = conv"),
    ),
    (
        "stride ignored",
        "the stride is ignored where windows start: they lie `stride` pixels apart",
        (
            "top + s * rows : s, left : left + s * cols : s",
            "top + rows, left : left + cols",
        ),
    ),
    (
        "stride downwards only",
        "the stride is ignored from left to right: it holds for both directions",
        ("left : left + s * cols : s", "left : left + cols"),
    ),
    (
        "padding ignored",
        "the padding is ignored: there are `pad` zeros on each of the four sides",
        ('conv_param["pad"]', "0"),
    ),
    (
        "padding on one side",
        "the zeros stand on one side of the image: there are `pad` on each side",
        ("(p, p), (p, p)", "(0, 2 * p), (0, 2 * p)"),
    ),
    (
        "edge repeated",
        "the image is continued by its edge: padding is with zeros",
        ("(p, p), (p, p))", '(p, p), (p, p)), mode="edge" if p else "constant"'),
    ),
    (
        "padded once in the size",
        "the size of the output counts the padding once: it stands on two sides",
        ("(H + 2 * p - high)", "(H + p - high)"),
        ("(W + 2 * p - wide)", "(W + p - wide)"),
    ),
    (
        "dilation ignored",
        "the dilation is ignored: the taps of a kernel lie that many pixels apart",
        ('conv_param.get("dilation", 1)', "1"),
    ),
    (
        "dilation demanded",
        '`conv_param` may come without "dilation": then it is 1',
        ('conv_param.get("dilation", 1)', 'conv_param["dilation"]'),
    ),
    (
        "square kernel",
        "the kernel is taken for a square: height and width may differ",
        ("    s, p = conv", "    w = w[:, :, :, : w.shape[2]]\n    s, p = conv"),
    ),
    (
        "first channel",
        "only the first channel of the image is seen",
        ("    s, p = conv", "    x, w = x[:, :1], w[:, :1]\n    s, p = conv"),
    ),
    (
        "conv_param emptied",
        in_place("conv_param"),
        ('conv_param["pad"]', 'conv_param.pop("pad")'),
    ),
    (
        "only the output",
        "the function returns its output alone: return (out, cache)",
        ("    return out, ", "    return out\n    return out, "),
    ),
    ("float64", FLOAT64, ("    return out, ", "    return out + np.zeros(1), ")),
)

conv_forward_naive = table(
    right.conv_forward_naive,
    *_FORWARD,
    (
        "height and width swapped",
        "height and width of the output are swapped",
        ("(H + 2 * p - high)", "(W + 2 * p - high)"),
        ("(W + 2 * p - wide)", "(H + 2 * p - wide)"),
    ),
)

conv_forward_im2col = table(
    right.conv_forward_im2col,
    *_FORWARD,
    (
        "reshaped, not transposed",
        "the rows of the product are places, its columns filters: reshape to"
        " (N, H', W', F), then move F to its place",
        (
            ".reshape(N, rows, cols, F).transpose(0, 3, 1, 2)",
            ".reshape(N, F, rows, cols)",
        ),
    ),
    (
        "channels last in the columns",
        "the columns hold the taps in another order than the filters' weights do",
        (
            _COLUMNS,
            "windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, C * HH * WW)",
        ),
    ),
    (
        "kernel transposed",
        "the columns hold each window transposed",
        (_COLUMNS, "windows.swapaxes(4, 5).reshape(-1, C * HH * WW)"),
    ),
    (
        "images mixed",
        "the rows of the product stand place by place: the images of a batch are mixed",
        (
            _COLUMNS,
            "windows.transpose(1, 2, 0, 3, 4, 5).reshape(-1, C * HH * WW)",
        ),
    ),
)

# --- backwards ---

_RETURN = "return dx, dw, db"

_BACKWARD = (
    (
        "pad:-pad",
        "your `dx` is empty where padding is 0: a slice pad:-pad ends at its beginning"
        " then; cut with pad : pad + H",
        ("p : p + H, p : p + W", "p:-p, p:-p"),
    ),
    (
        "padding kept",
        "your `dx` still has its padding: cut it off",
        ("dpadded[:, :, p : p + H, p : p + W]", "dpadded"),
    ),
    (
        "padding cut off one side",
        "your `dx` has its padding cut off on one side alone",
        ("p : p + H, p : p + W", ":H, :W"),
    ),
    (
        "stride ignored",
        "the stride is ignored on the way back: windows lie `stride` pixels apart",
        ("top + s * (rows - 1) + 1, s)", "top + rows)"),
        ("left + s * (cols - 1) + 1, s)", "left + cols)"),
    ),
    (
        "dilation ignored",
        "the dilation is ignored on the way back: taps lie as far apart as forwards",
        ("u * d, v * d", "u, v"),
    ),
    (
        "dx averaged",
        "your `dx` is divided by the batch size: the mean belongs to the loss, which"
        " has put it into dout already",
        (_RETURN, "return dx / N, dw, db"),
    ),
    (
        "dw averaged",
        "your `dw` is divided by the batch size: the mean belongs to the loss, which"
        " has put it into dout already",
        (_RETURN, "return dx, dw / N, db"),
    ),
    (
        "dw flipped",
        "your `dw` is flipped",
        (_RETURN, "return dx, dw[:, :, ::-1, ::-1], db"),
    ),
    (
        "db averaged",
        "your `db` is a mean over images and places, where a sum is needed",
        (_RETURN, "return dx, dw, db / dout[:, 0].size"),
    ),
    (
        "db over the batch only",
        "your `db` is summed over images alone: a bias is added at every place, too",
        (_RETURN, "return dx, dw, dout.sum(axis=0)"),
    ),
    (
        "db over places only",
        "your `db` is summed over places alone: a bias is added to every image, too",
        (_RETURN, "return dx, dw, dout.sum(axis=(2, 3))"),
    ),
    (
        "dout scaled in place",
        in_place("dout"),
        (f"    {_RETURN}", f"    dout /= N\n    {_RETURN}"),
    ),
    (
        "weights updated",
        "your backward pass changes the weights: it returns gradients, and an optimizer"
        " takes the step",
        (f"    {_RETURN}", f"    w -= 0.01 * dw\n    {_RETURN}"),
    ),
    (
        "float64",
        FLOAT64,
        (_RETURN, "return tuple(g + np.zeros(1) for g in (dx, dw, db))"),
    ),
)

_FLIPPED_BACK = (
    "dx from a flipped kernel",
    "your `dx` spreads dout by a flipped kernel: in each window it is the kernel as it"
    " is",
)

_OVERWRITTEN = (
    "dx overwritten",
    "your `dx` keeps what the last window sent: where windows overlap, it adds up",
)

# what a loop over places does, window by window
_WINDOWS = """    for i, j in np.ndindex(rows, cols):
        down = slice(i * s, i * s + d * (HH - 1) + 1, d)
        across = slice(j * s, j * s + d * (WW - 1) + 1, d)
"""

_SENT = "dpadded[:, :, down, across] = np.tensordot(dout[:, :, i, j], w, 1)\n"

_SENT_LAST = (
    "dpadded[:, :, down, across] += np.tensordot(dout[:, -1:, i, j], w[-1:], 1)\n"
)

_SEEN = "dw = np.tensordot(dout[:, :, i, j].T, padded[:, :, down, across], 1)\n"

_DX = "    dx = dpadded"

conv_backward_naive = table(
    right.conv_backward_naive,
    *_BACKWARD,
    (*_FLIPPED_BACK, ("(flat @ w[:, :, u, v])", "(flat @ w[:, :, -1 - u, -1 - v])")),
    (*_OVERWRITTEN, (_DX, f"{_WINDOWS}        {_SENT}{_DX}")),
    (
        "dx of the last filter",
        "your `dx` keeps what the last filter sent: it adds up over filters, too",
        (_DX, f"    dpadded *= 0\n{_WINDOWS}        {_SENT_LAST}{_DX}"),
    ),
    (
        "dw of the last window",
        "your `dw` keeps what the last window gave: it adds up over all places",
        (_DX, f"{_WINDOWS}        {_SEEN}{_DX}"),
    ),
    (
        "dw of the first image",
        "your `dw` takes the first image alone: it adds up over the batch",
        ("= flat.T @ taps", "= flat[: rows * cols].T @ taps[: rows * cols]"),
    ),
    (
        "dw of the last image",
        "your `dw` takes the last image alone: it adds up over the batch",
        ("= flat.T @ taps", "= flat[-rows * cols :].T @ taps[-rows * cols :]"),
    ),
    before=(right.conv_forward_naive,),
)

conv_backward_im2col = table(
    right.conv_backward_im2col,
    *_BACKWARD,
    (*_FLIPPED_BACK, ("(flat @ w.reshape", "(flat @ w[:, :, ::-1, ::-1].reshape")),
    (*_OVERWRITTEN, ("across] += dwindows", "across] = dwindows")),
    (
        "dout reshaped, not transposed",
        "dout has to stand with one row per place: move its filters to the end before"
        " you reshape",
        ("dout.transpose(0, 2, 3, 1).reshape(-1, F)", "dout.reshape(-1, F)"),
    ),
    (
        "taps transposed",
        "the columns' gradients go to transposed taps: keep the forward pass's order",
        (
            "reshape(N, rows, cols, C, HH, WW)",
            "reshape(N, rows, cols, C, WW, HH).swapaxes(4, 5)",
        ),
    ),
    (
        "dw reshaped, not transposed",
        "your `dw` is the product of columns and dout, reshaped: it is dout transposed"
        " times columns",
        ("(flat.T @ columns)", "(columns.T @ flat)"),
    ),
    before=(right.conv_forward_im2col,),
)
