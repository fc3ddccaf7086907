"""Topic 07, the wrong answers that we know, each with what a student reads about it.

The same wrong answers, handed in as submissions, test the checks. Here are those of one
step.
"""

from grader.checks.rnn_lstm import answers as right
from grader.mistakes import FLOAT64, in_place, table

# --- the same slips, in either cell, forwards ---

_FORWARD = (
    ("no bias", "the bias is not added", (" + b\n", "\n")),
    (
        "old state ignored",
        "the state of the step before is ignored: prev_h Wh is missing",
        (" + prev_h @ Wh", ""),
    ),
    ("x changed", in_place("x"), ("    z = x @ Wx", "    x += 1\n    z = x @ Wx")),
    ("float64", FLOAT64, ("    z = x @ Wx", "    z = np.zeros(1) + x @ Wx")),
)

rnn_step_forward = table(
    right.rnn_step_forward,
    *_FORWARD,
    (
        "Wh transposed",
        "Wh is transposed: it stands to the right of prev_h as it is",
        ("prev_h @ Wh", "prev_h @ Wh.T"),
    ),
    (
        "no tanh",
        "the tanh is missing: what it gets is not yet the state",
        ("np.tanh(z)", "z"),
    ),
    (
        "sigmoid",
        "the state goes through a sigmoid, not through tanh",
        ("np.tanh(z)", "0.5 + 0.5 * np.tanh(0.5 * z)"),
    ),
    (
        "tanh before the sum",
        "tanh is taken of a part of the sum: it is of all of it",
        (
            "z = x @ Wx + prev_h @ Wh + b\n    next_h = np.tanh(z)",
            "next_h = np.tanh(x @ Wx + b) + prev_h @ Wh",
        ),
    ),
    (
        "tanh by exponentials",
        "tanh is written with exponentials, which overflow: np.tanh does not",
        ("np.tanh(z)", "(np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))"),
    ),
    (
        "only the state",
        "the function returns the state alone: return (next_h, cache)",
        ("    return next_h, ", "    return next_h\n    return next_h, "),
    ),
    (
        "prev_h overwritten",
        in_place("prev_h"),
        (
            "next_h = np.tanh(z)",
            "next_h = np.tanh(z)\n    prev_h[:] = next_h",
        ),
    ),
)

lstm_step_forward = table(
    right.lstm_step_forward,
    *_FORWARD,
    (
        "torch's order",
        "the gates are taken in the order i, f, g, o, which is PyTorch's: ours is"
        " i, f, o, g",
        ("i, f, o, g = np.split", "i, f, g, o = np.split"),
    ),
    (
        "input and forget gate swapped",
        "input and forget gate are swapped: the order is i, f, o, g",
        ("i, f, o, g = np.split", "f, i, o, g = np.split"),
    ),
    (
        "gates interleaved",
        "the columns of a gate lie side by side: the first H are those of i, the next"
        " H those of f",
        ("np.split(z, 4, axis=1)", "[z[:, k::4] for k in range(4)]"),
    ),
    (
        "g through a sigmoid",
        "g goes through a sigmoid: what may be added to the cell has either sign, by"
        " tanh",
        ("g = np.tanh(g)", "g = 0.5 + 0.5 * np.tanh(0.5 * g)"),
    ),
    (
        "gates through tanh",
        "the gates go through tanh: they are shares between 0 and 1, by the sigmoid",
        ("0.5 + 0.5 * np.tanh(0.5 * gate)", "np.tanh(gate)"),
    ),
    (
        "cell not squashed",
        "the hidden state is o times the tanh of the cell: the tanh is missing",
        ("np.tanh(next_c)", "next_c"),
    ),
    (
        "old cell in the hidden state",
        "the hidden state is made of the old cell: it is made of the new one",
        ("np.tanh(next_c)", "np.tanh(prev_c)"),
    ),
    (
        "old cell ignored",
        "the old cell is ignored: f times it is kept",
        ("f * prev_c + i * g", "i * g"),
    ),
    (
        "coupled gates",
        "1 - i is used in place of the forget gate, which has weights of its own",
        ("f * prev_c", "(1 - i) * prev_c"),
    ),
    (
        "cell tanh again",
        "the cell goes through tanh before it is passed on: it is passed on as it is,"
        " and that is what keeps its gradient alive",
        (
            "next_c = f * prev_c + i * g\n    squashed = np.tanh(next_c)",
            "next_c = squashed = np.tanh(f * prev_c + i * g)",
        ),
    ),
    (
        "sigmoid overflows",
        "np.exp overflows in the sigmoid: use one that never takes the exponential of"
        " a large number",
        ("0.5 + 0.5 * np.tanh(0.5 * gate)", "1 / (1 + np.exp(-gate))"),
    ),
    (
        "two values",
        "two values come back: return (next_h, next_c, cache)",
        ("return next_h, next_c, (x,", "return (next_h, next_c), (x,"),
    ),
    (
        "states swapped",
        "hidden state and cell are returned in the wrong order",
        ("return next_h, next_c, ", "return next_c, next_h, "),
    ),
    (
        "prev_c overwritten",
        in_place("prev_c"),
        ("next_h = o * squashed", "next_h = o * squashed\n    prev_c[:] = next_c"),
    ),
)

# --- backwards ---

_BACKWARD = (
    (
        "db averaged",
        "db is averaged over the batch: add it up",
        ("dz.sum(axis=0)", "dz.mean(axis=0)"),
    ),
    (
        "db not summed",
        "db is not summed over the batch",
        ("dz.sum(axis=0)", "dz"),
    ),
    (
        "weights averaged",
        "dWx and dWh are divided by the batch size: a sum over samples is asked for",
        ("x.T @ dz, prev_h.T @ dz", "x.T @ dz / len(x), prev_h.T @ dz / len(x)"),
    ),
    (
        "dWh of the new state",
        "dWh is made with the new state: Wh was multiplied by the old one",
        ("prev_h.T @ dz", "{new}.T @ dz"),
    ),
    (
        "dprev_h without weights",
        "dprev_h has to go back through Wh",
        ("dz @ Wh.T", "{bare}"),
    ),
    (
        "float64",
        FLOAT64,
        ("    dx, dprev_h = dz", "    dz = dz * np.ones(1)\n    dx, dprev_h = dz"),
    ),
    (
        "gradient changed",
        in_place("dnext_h"),
        ("{multiply}", "{in_place}"),
    ),
)


def _filled(rows, **words):
    """Put words into the edits of rows."""

    def fill(text):
        for name, word in words.items():
            text = text.replace("{" + name + "}", word)
        return text

    return [
        (name, message, *((old and fill(old), fill(new)) for old, new in edits))
        for name, message, *edits in rows
    ]


rnn_step_backward = table(
    right.rnn_step_backward,
    *_filled(
        _BACKWARD,
        new="next_h",
        bare="dz",
        multiply="dz = dnext_h * (1 - next_h**2)",
        in_place="dnext_h *= 1 - next_h**2\n    dz = dnext_h",
    ),
    (
        "no slope of tanh",
        "the slope of tanh is missing: multiply by 1 - next_h²",
        ("dnext_h * (1 - next_h**2)", "dnext_h"),
    ),
    (
        "slope of the sigmoid",
        "the slope is that of a sigmoid: tanh has 1 - next_h²",
        ("(1 - next_h**2)", "next_h * (1 - next_h)"),
    ),
    (
        "tanh twice",
        "tanh is taken of next_h once more: next_h is the tanh already",
        ("(1 - next_h**2)", "(1 - np.tanh(next_h) ** 2)"),
    ),
    (
        "slope not squared",
        "the slope of tanh is 1 - next_h², and the square is missing",
        ("(1 - next_h**2)", "(1 - next_h)"),
    ),
    (
        "slope at the old state",
        "the slope of tanh is taken at prev_h, not at next_h",
        ("(1 - next_h**2)", "(1 - prev_h**2)"),
    ),
    (
        "Wx not transposed",
        "dx and dprev_h need the weights transposed",
        (
            "dz @ Wx.T, dz @ Wh.T",
            "dz @ Wx.reshape(Wx.shape[::-1]), dz @ Wh",
        ),
    ),
    (
        "weights' gradients swapped",
        "dWx and dWh are returned in the wrong order",
        ("return dx, dprev_h, dWx, dWh, db", "return dx, dprev_h, dWh, dWx, db"),
    ),
    (
        "cache emptied",
        "your code changes the cache: backward may be called a second time",
        (
            "x, prev_h, Wx, Wh, next_h = cache",
            "x, prev_h, Wx, Wh, next_h = cache\n    next_h *= next_h",
        ),
        ("(1 - next_h**2)", "(1 - next_h)"),
    ),
    before=(right.rnn_step_forward,),
)

lstm_step_backward = table(
    right.lstm_step_backward,
    *_filled(
        _BACKWARD,
        new="(o * squashed)",
        bare="dz[:, : len(Wh)]",
        multiply="dprev_c = dc * f",
        in_place="dprev_c = dc * f\n    dnext_h *= squashed",
    ),
    (
        "dnext_c ignored",
        "dnext_c is ignored: the cell goes on to the next step, and a gradient comes"
        " back from there",
        ("dc = dnext_c + dnext_h", "dc = dnext_h"),
    ),
    (
        "only dnext_c",
        "the gradient of the hidden state does not reach the cell: next_h is o times"
        " the tanh of next_c",
        ("dnext_c + dnext_h * o * (1 - squashed**2)", "dnext_c"),
    ),
    (
        "dnext_c through tanh",
        "dnext_c is sent through the tanh: it arrives behind it, at the cell itself",
        (
            "dnext_c + dnext_h * o * (1 - squashed**2)",
            "(dnext_c + dnext_h * o) * (1 - squashed**2)",
        ),
    ),
    (
        "tanh twice",
        "the slope is that of the tanh of a tanh: 1 - tanh(c)² is meant",
        ("(1 - squashed**2)", "(1 - np.tanh(squashed) ** 2)"),
    ),
    (
        "slope at the old cell",
        "the slope of tanh is taken at the old cell, not at the new one",
        ("(1 - squashed**2)", "(1 - np.tanh(prev_c) ** 2)"),
    ),
    (
        "slope at the hidden state",
        "the slope of tanh is 1 - tanh(next_c)²: next_h is o times that tanh",
        ("(1 - squashed**2)", "(1 - (o * squashed) ** 2)"),
    ),
    (
        "no slope of the cell's tanh",
        "the slope of the tanh between cell and hidden state is missing",
        (" * (1 - squashed**2)", ""),
    ),
    (
        "forget gate not reached",
        "the forget gate gets no gradient from the cell: it is dc times prev_c",
        ("dc * g, dc * prev_c, dc * i", "dc * g, 0 * dc, dc * i"),
    ),
    (
        "forget gate by the new cell",
        "the forget gate's gradient is made with the new cell: it was multiplied by the"
        " old one",
        ("dc * prev_c", "dc * (f * prev_c + i * g)"),
    ),
    (
        "output gate from the cell",
        "the output gate's gradient comes from dnext_h alone, as the cell does not"
        " depend on it",
        ("do = dnext_h * squashed", "do = (dnext_h + dnext_c) * squashed"),
    ),
    (
        "gates' slopes forgotten",
        "the slopes of the sigmoids are missing: gate times (1 - gate)",
        (
            "di * i * (1 - i), df * f * (1 - f), do * o * (1 - o)",
            "di, df, do",
        ),
    ),
    (
        "tanh slopes at the gates",
        "the gates' slopes are those of tanh: a sigmoid has gate times (1 - gate)",
        (
            "di * i * (1 - i), df * f * (1 - f), do * o * (1 - o)",
            "di * (1 - i**2), df * (1 - f**2), do * (1 - o**2)",
        ),
    ),
    (
        "sigmoid slope at g",
        "g's slope is that of a sigmoid: g is a tanh, with 1 - g²",
        ("dg * (1 - g**2)", "dg * g * (1 - g)"),
    ),
    (
        "torch's order",
        "the gates' gradients are put together in the order i, f, g, o, which is"
        " PyTorch's: ours is i, f, o, g",
        (
            "do * o * (1 - o), dg * (1 - g**2)]",
            "dg * (1 - g**2), do * o * (1 - o)]",
        ),
    ),
    (
        "dprev_c by the input gate",
        "dprev_c is dc times the forget gate",
        ("dprev_c = dc * f", "dprev_c = dc * i"),
    ),
    (
        "dprev_c whole",
        "dprev_c is not multiplied by the forget gate: dc times f goes on",
        ("dprev_c = dc * f", "dprev_c = dc"),
    ),
    (
        "dprev_c without the hidden state",
        "dprev_c is made of dnext_c alone: what came to the cell through next_h goes"
        " on, too",
        ("dprev_c = dc * f", "dprev_c = dnext_c * f"),
    ),
    (
        "dnext_c changed",
        in_place("dnext_c"),
        (
            "dc = dnext_c + dnext_h * o * (1 - squashed**2)",
            "dnext_c += dnext_h * o * (1 - squashed**2)\n    dc = dnext_c",
        ),
    ),
    (
        "five gradients",
        "five gradients come back: dprev_c is one, too",
        ("return dx, dprev_h, dprev_c,", "return dx, dprev_h,"),
    ),
    before=(right.lstm_step_forward,),
)
