"""Topic 07, the wrong answers that we know: those of whole sequences."""

from grader.checks.rnn_lstm import answers as right
from grader.mistakes import FLOAT64, in_place, table


def _rows(state, cell=""):
    """Return the slips of a loop over steps, which get this state and this cell."""
    return (
        (
            "state not passed on",
            "each step starts from h0: it starts from the state of the step before",
            (f"x[:, t], {state}", f"x[:, t], h0{cell}"),
        ),
        (
            "h0 ignored",
            "the first step starts from zeros: it starts from h0",
            ("    for t in range", "    state = np.zeros_like(h0)\n    for t in range"),
        ),
        (
            "backwards in time",
            "the sequence is read from its end: start at step 0",
            ("range(x.shape[1])", "reversed(range(x.shape[1]))"),
        ),
        (
            "last step missing",
            "the last step is left out",
            ("np.stack(states, axis=1)", "np.stack(states[:-1] or states, axis=1)"),
        ),
        (
            "only the last state",
            "the last state alone comes back: the states of all steps are asked for,"
            " (N, T, H)",
            ("np.stack(states, axis=1)", "states[-1]"),
        ),
        (
            "h0 among the states",
            "h0 stands among the states: they are those after each step, T of them",
            ("np.stack(states, axis=1)", "np.stack([h0, *states[:-1]], axis=1)"),
        ),
        (
            "time first",
            "the states have time in front: (N, T, H) is asked for",
            ("np.stack(states, axis=1)", "np.stack(states)"),
        ),
        (
            "reshaped, not stacked",
            "the states of all steps are reshaped into (N, T, H), which mixes samples"
            " and steps: stack them along axis 1",
            (
                "np.stack(states, axis=1)",
                "np.stack(states).reshape(len(x), -1, h0.shape[1])",
            ),
        ),
        (
            "float64",
            FLOAT64,
            ("np.stack(states, axis=1)", "np.stack(states, axis=1) + np.zeros(1)"),
        ),
        (
            "h0 overwritten",
            in_place("h0"),
            ("    h = np.stack", "    h0[:] = states[-1]\n    h = np.stack"),
        ),
        (
            "only the states",
            "the function returns the states alone: return (h, cache)",
            ("    return h, caches", "    return h"),
        ),
    )


rnn_forward = table(right.rnn_forward, *_rows("state"))

lstm_forward = table(
    right.lstm_forward,
    *_rows("state, cell", ", cell"),
    (
        "cell not passed on",
        "each step starts with an empty cell: it goes from step to step, as the state"
        " does",
        ("state, cell, Wx", "state, np.zeros_like(h0), Wx"),
    ),
    (
        "cell starts as h0",
        "the cell starts as h0: c0 is 0",
        ("np.zeros_like(h0), [], []", "h0, [], []"),
    ),
    (
        "cell starts at one",
        "the cell starts with ones: c0 is 0",
        ("np.zeros_like(h0), [], []", "np.ones_like(h0), [], []"),
    ),
    (
        "cells returned",
        "the cells come back, where the hidden states are asked for",
        ("states.append(state)", "states.append(cell)"),
    ),
    (
        "state and cell swapped",
        "hidden state and cell are swapped on their way to the next step",
        ("        state, cell, cache = ", "        cell, state, cache = "),
    ),
)


_BACKWARD = (
    (
        "dh of the last step only",
        "the gradient of the last step alone is used: dh holds one for each step, and"
        " all of them count",
        ("dh[:, t] + dstate", "dh[:, t] * (t == T - 1) + dstate"),
    ),
    (
        "nothing comes back in time",
        "what comes back from the next step is not added to dh: a state is used twice,"
        " by the loss and by the next step",
        ("dh[:, t] + dstate", "dh[:, t]"),
    ),
    (
        "forwards in time",
        "the steps are taken from the first to the last: a gradient comes from the end",
        ("reversed(range(T))", "range(T)"),
        ("dxs[::-1]", "dxs"),
    ),
    (
        "dx back to front",
        "dx is in the order in which the steps were taken, last one first",
        ("dxs[::-1]", "dxs"),
    ),
    (
        "weights of one step",
        "the gradients of the weights are those of one step: a weight is used at every"
        " step, and they add up",
        ("sum(pair) for pair in", "pair[1] for pair in"),
    ),
    (
        "weights averaged over time",
        "the gradients of the weights are averaged over the steps: add them up",
        ("dWx, dWh, db = sums", "dWx, dWh, db = (total / T for total in sums)"),
    ),
    (
        "weights averaged over the batch",
        "the gradients of the weights are divided by the batch size: add them up",
        ("dWx, dWh, db = sums", "dWx, dWh, db = (total / N for total in sums)"),
    ),
    (
        "first step forgotten",
        "the loop stops before step 0, whose gradients count as well",
        (
            "[sum(pair) for pair in zip(sums, parts, strict=True)]",
            "[s + p * (t > 0) for s, p in zip(sums, parts, strict=True)]",
        ),
    ),
    (
        "dh0 zero",
        "dh0 is 0: what comes back from step 0 goes to h0",
        ("return dx, dstate,", "return dx, 0 * dstate,"),
    ),
    (
        "dh0 of the last step",
        "dh0 is dh at some step: what comes back from step 0 goes to h0",
        ("return dx, dstate,", "return dx, upstream,"),
    ),
    (
        "cut after 20 steps",
        "the way back ends after some steps: it goes back to step 0",
        (
            "upstream = dh[:, t] + dstate",
            "dstate = dstate * (t % 20 != 0 or T < 20)\n"
            "        upstream = dh[:, t] + dstate",
        ),
    ),
    (
        "float64",
        FLOAT64,
        ("np.zeros((N, H), dh.dtype), ", "np.zeros((N, H)), "),
    ),
    (
        "dh changed",
        in_place("dh"),
        (
            "upstream = dh[:, t] + dstate",
            "dh[:, t] += dstate\n        upstream = dh[:, t]",
        ),
    ),
    (
        "cache emptied",
        "your code empties the cache: backward may be called a second time",
        ("cache[t]", "cache.pop()"),
    ),
)

rnn_backward = table(
    right.rnn_backward,
    *_BACKWARD,
    before=(right.rnn_forward,),
)

lstm_backward = table(
    right.lstm_backward,
    *[row for row in _BACKWARD if row[0] != "float64"],
    (
        "float64",
        FLOAT64,
        (
            "np.zeros((N, H), dh.dtype), np.zeros((N, H), dh.dtype)",
            "np.zeros((N, H)), np.zeros((N, H))",
        ),
    ),
    (
        "cell's gradient dropped",
        "the cell's gradient is dropped between the steps: it is the highway that an"
        " LSTM is built for",
        (
            "lstm_step_backward(upstream, dcell,",
            "lstm_step_backward(upstream, 0 * dcell,",
        ),
    ),
    (
        "cell's gradient twice",
        "the cell's gradient is added up over the steps: each step hands on all of it"
        " already",
        (
            "dx, dstate, dcell, *parts = lstm_step_backward(upstream, dcell, cache[t])",
            "dx, dstate, more, *parts = lstm_step_backward(upstream, dcell, cache[t])\n"
            "        dcell = dcell + more",
        ),
    ),
    (
        "cell's gradient to h0",
        "what comes back to c0 is returned as dh0",
        ("return dx, dstate,", "return dx, dcell,"),
    ),
    (
        "gradients swapped between steps",
        "the gradients of hidden state and cell are swapped between the steps",
        ("dx, dstate, dcell, *parts", "dx, dcell, dstate, *parts"),
    ),
    before=(right.lstm_forward,),
)
