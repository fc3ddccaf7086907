"""Topic 07: answers that nobody had in mind when the checks were written."""

import collections
import copy
import functools
import math

import numpy as np
import scipy.linalg
import torch

from grader.checks.rnn_lstm import answers as right

# (exercise, name): functions
WRONG: dict[tuple[str, str], tuple] = {}
RIGHT: dict[tuple[str, str], tuple] = {}


# --- wrong ---


def _kept_in_a_global():
    kept = {}

    def forward(x, h0, Wx, Wh, b):
        h, kept["cache"] = right.lstm_forward(x, h0, Wx, Wh, b)
        return h, None

    return forward, lambda dh, cache: right.lstm_backward(dh, kept["cache"])


WRONG["lstm_backward", "cache kept in a global"] = _kept_in_a_global()


def clipped_gates(x, prev_h, prev_c, Wx, Wh, b):
    """A sigmoid made safe by clipping, so hard that it shows."""
    z = x @ Wx + prev_h @ Wh + b
    i, f, o, g = np.split(np.clip(z, -6, 6), 4, axis=1)
    i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
    next_c = f * prev_c + i * np.tanh(g)
    return o * np.tanh(next_c), next_c, None


WRONG["lstm_step_forward", "clipped at 6"] = (clipped_gates,)


def hard_sigmoid(x, prev_h, prev_c, Wx, Wh, b):
    i, f, o, g = np.split(x @ Wx + prev_h @ Wh + b, 4, axis=1)
    i, f, o = (np.clip(0.5 + 0.25 * gate, 0, 1) for gate in (i, f, o))
    next_c = f * prev_c + i * np.tanh(g)
    return o * np.tanh(next_c), next_c, None


WRONG["lstm_step_forward", "hard sigmoid"] = (hard_sigmoid,)


def clips_gradients(dh, cache):
    """As one does in training, but not in the layer."""
    return tuple(np.clip(grad, -5, 5) for grad in right.rnn_backward(dh, cache))


WRONG["rnn_backward", "gradients clipped"] = (right.rnn_forward, clips_gradients)


def bias_reversed(dh, cache):
    dx, dh0, dWx, dWh, db = right.rnn_backward(dh, cache)
    return dx, dh0, dWx, dWh, db[::-1]


WRONG["rnn_backward", "bias reversed"] = (right.rnn_forward, bias_reversed)


def a_little_off(dnext_h, dnext_c, cache):
    grads = right.lstm_step_backward(dnext_h, dnext_c, cache)
    return tuple(grad * (1 + 1e-5) for grad in grads)


WRONG["lstm_step_backward", "a little off"] = (right.lstm_step_forward, a_little_off)


def half_precision(x, h0, Wx, Wh, b):
    arrays = (a.astype(np.float16).astype(a.dtype) for a in (x, h0, Wx, Wh, b))
    return right.lstm_forward(*arrays)


WRONG["lstm_forward", "inputs in half precision"] = (half_precision,)


def stops_at_padding(x, y, mask):
    """Takes the mask for lengths: holes are not left out."""
    lengths = mask.sum(axis=1)
    return right.temporal_softmax_loss(x, y, np.arange(y.shape[1]) < lengths[:, None])


WRONG["temporal_softmax_loss", "mask taken for lengths"] = (stops_at_padding,)


def with_epsilon(x, y, mask):
    """A logarithm that is kept from 0 by a small number."""
    shifted = x - x.max(axis=2, keepdims=True)
    probs = np.exp(shifted) / np.exp(shifted).sum(axis=2, keepdims=True)
    labels = np.where(mask, y, 0)[..., None]
    picked = np.take_along_axis(probs, labels, axis=2)[..., 0]
    _, dx = right.temporal_softmax_loss(x, y, mask)
    return -(np.log(picked + x.dtype.type(1e-10)) * mask).sum() / len(x), dx


WRONG["temporal_softmax_loss", "logarithm with an epsilon"] = (with_epsilon,)


def top_two(params, start, length, temperature, rng):
    """Draws among the likeliest two alone."""
    text = []
    h = c = np.zeros((1, len(params["Wh"])))
    char = start
    for _ in range(length):
        p = params
        x = p["W_embed"][[char]]
        h, c, _ = right.lstm_step_forward(x, h, c, p["Wx"], p["Wh"], p["b"])
        scores = (h @ p["W_out"] + p["b_out"])[0].astype(float) / temperature
        scores[scores < np.sort(scores)[-2]] = -np.inf
        probs = np.exp(scores - scores.max())
        char = int(rng.choice(len(probs), p=probs / probs.sum()))
        text.append(char)
    return np.array(text)


WRONG["sample", "among the best two"] = (top_two,)


def one_uniform_number(params, start, length, temperature, rng):
    """One random number for the whole text."""
    u = rng.random()

    class Fixed:
        def choice(self, n, p):
            return min(int(np.searchsorted(np.cumsum(p), u)), n - 1)

    return right.sample(params, start, length, temperature, Fixed())


WRONG["sample", "one random number for all"] = (one_uniform_number,)


def slightly_warmer(params, start, length, temperature, rng):
    return right.sample(params, start, length, 1.3 * temperature, rng)


WRONG["sample", "temperature a third larger"] = (slightly_warmer,)


class Nucleus:
    """Draws among the likeliest, which together have 90 %."""

    def __init__(self, rng):
        self.rng = rng

    def choice(self, n, p):
        order = np.argsort(-p)
        kept = order[: np.searchsorted(np.cumsum(p[order]), 0.9) + 1]
        return self.rng.choice(kept, p=p[kept] / p[kept].sum())


def nucleus(params, start, length, temperature, rng):
    return right.sample(params, start, length, temperature, Nucleus(rng))


WRONG["sample", "unlikely ones left out"] = (nucleus,)


def by_power_iteration(Wh):
    """Finds no pair of complex eigenvalues."""
    v = np.ones(len(Wh))
    for _ in range(200):
        v = Wh @ v
        v = v / (np.linalg.norm(v) or 1)
    return abs(float(v @ Wh @ v))


WRONG["spectral_radius", "power iteration"] = (by_power_iteration,)


def normalised_queries(query, features):
    """Cosines in place of products."""
    lengths = np.linalg.norm(query, axis=1, keepdims=True)
    return right.attend(query / lengths, features)


WRONG["attend", "query normalised"] = (normalised_queries,)


def embedding_of_the_first(params, x, y):
    """The embedding learns of the first sequence alone."""
    loss, grads = right.char_loss(params, x, y)
    _, first = right.char_loss(params, x[:1], y[:1])
    return loss, grads | {"W_embed": first["W_embed"] / len(x)}


WRONG["char_loss", "embedding of the first sequence"] = (embedding_of_the_first,)


def largest_of_a_word(dout, cache):
    x, shape = cache
    dW = np.zeros(shape, dout.dtype)
    for word in np.unique(x):
        dW[word] = dout[x == word].max(axis=0)
    return dW


WRONG["word_embedding_backward", "largest of a word"] = (
    right.word_embedding_forward,
    largest_of_a_word,
)


# --- right ---


class Step:
    """One step as an object: the cache is the object itself."""

    def __init__(self, *inputs):
        self.out, self.kept = right.rnn_step_forward(*inputs)

    def back(self, dout):
        return right.rnn_step_backward(dout, self.kept)


def step_of_a_class(*inputs):
    step = Step(*inputs)
    return step.out, step


RIGHT["rnn_step_backward", "an object as cache"] = (
    step_of_a_class,
    lambda dnext_h, step: step.back(dnext_h),
)


def closure_forward(x, prev_h, prev_c, Wx, Wh, b):
    """The cache is a function."""
    *states, kept = right.lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)
    return *states, functools.partial(right.lstm_step_backward, cache=kept)


RIGHT["lstm_step_backward", "a function as cache"] = (
    closure_forward,
    lambda dnext_h, dnext_c, cache: cache(dnext_h, dnext_c),
)


def by_logaddexp(x, prev_h, prev_c, Wx, Wh, b):
    """Sigmoids from their logarithms."""
    z = x @ Wx + prev_h @ Wh + b
    H = prev_h.shape[1]
    i, f, o = (np.exp(-np.logaddexp(0, -z[:, k * H : (k + 1) * H])) for k in range(3))
    next_c = f * prev_c + i * np.tanh(z[:, 3 * H :])
    return o * np.tanh(next_c), next_c, ()


RIGHT["lstm_step_forward", "logarithms of sigmoids"] = (by_logaddexp,)


def warnings_switched_off(x, prev_h, prev_c, Wx, Wh, b):
    """Exponentials that overflow to infinity, where 1 / inf is right."""
    z = x @ Wx + prev_h @ Wh + b
    with np.errstate(over="ignore"):
        gates = 1 / (1 + np.exp(-z))
    i, f, o, _ = np.split(gates, 4, axis=1)
    g = np.tanh(np.split(z, 4, axis=1)[3])
    next_c = f * prev_c + i * g
    return o * np.tanh(next_c), next_c, None


RIGHT["lstm_step_forward", "overflow that is right"] = (warnings_switched_off,)


def fortran_order(x, h0, Wx, Wh, b):
    h, cache = right.rnn_forward(x, h0, Wx, Wh, b)
    return np.asfortranarray(h), collections.deque(cache)


RIGHT["rnn_forward", "another memory layout"] = (fortran_order,)


def deque_backward(dh, cache):
    """Takes a copy of the cache apart."""
    left, dx, total = copy.copy(cache), collections.deque(), None
    dstate = np.zeros_like(dh[:, -1])
    for t in range(dh.shape[1] - 1, -1, -1):
        dx_t, dstate, *parts = right.rnn_step_backward(dh[:, t] + dstate, left.pop())
        dx.appendleft(dx_t)
        total = parts if total is None else list(map(np.add, total, parts))
    return np.stack(list(dx), axis=1), dstate, *total


RIGHT["rnn_backward", "a queue"] = (fortran_order, deque_backward)


def by_schur(Wh):
    diagonal = np.diag(scipy.linalg.schur(Wh.astype(float), output="complex")[0])
    return np.float64(np.abs(diagonal).max())


RIGHT["spectral_radius", "Schur form"] = (by_schur,)


def squares_of_a_matrix(Wh, dh, T):
    """dh Wh^T, again and again, as rows of one matrix."""
    rows = np.empty((T + 1, len(dh)), dh.dtype)
    rows[0] = dh
    for t in range(T):
        np.dot(rows[t], Wh.T, out=rows[t + 1])
    return np.sqrt(np.einsum("td,td->t", rows, rows))


RIGHT["gradient_norms", "rows of one matrix"] = (squares_of_a_matrix,)


def gate_by_tensor(dnext_h, dnext_c, cache):
    """Gradients in float64, cast at the end; a list comes back."""
    wide = [np.float64(part) for part in cache]
    grads = right.lstm_step_backward(np.float64(dnext_h), np.float64(dnext_c), wide)
    return [grad.astype(dnext_h.dtype) for grad in grads]


RIGHT["lstm_step_backward", "float64 inside"] = (
    right.lstm_step_forward,
    gate_by_tensor,
)


def by_sorting(dout, cache):
    """Sums of runs of equal words."""
    x, shape = cache
    order = np.argsort(x.ravel(), kind="stable")
    words, starts = np.unique(x.ravel()[order], return_index=True)
    dW = np.zeros(shape, dout.dtype)
    rows = dout.reshape(-1, shape[1])[order]
    dW[words] = np.add.reduceat(rows, starts, axis=0)
    return dW


RIGHT["word_embedding_backward", "sorted words"] = (
    right.word_embedding_forward,
    by_sorting,
)


def loss_as_an_array(x, y, mask):
    """The loss has no axes, but is an array; y may be of any width."""
    loss, dx = right.temporal_softmax_loss(x, y.astype(np.int64), mask.astype(bool))
    return np.asarray(loss), np.ascontiguousarray(dx)


RIGHT["temporal_softmax_loss", "an array without axes"] = (loss_as_an_array,)


def ordered_grads(params, x, y):
    loss, grads = right.char_loss(dict(params), x.copy(), y.copy())
    return torch.tensor(float(loss)), collections.OrderedDict(sorted(grads.items()))


RIGHT["char_loss", "a tensor and an ordered dict"] = (ordered_grads,)


def drawn_beforehand(params, start, length, temperature, rng):
    """All random numbers first; exponential races in place of sums."""
    races, text, char = rng.exponential(size=(length, len(params["b_out"]))), [], start
    h = c = np.zeros((1, len(params["Wh"])), params["Wh"].dtype)
    for race in races:
        p = params
        x = p["W_embed"][[char]]
        h, c, _ = right.lstm_step_forward(x, h, c, p["Wx"], p["Wh"], p["b"])
        scores = np.float64(h[0] @ p["W_out"] + p["b_out"]) / temperature
        # the first to arrive wins, at speeds of exp(scores)
        char = int((np.log(race) - scores).argmin())
        text.append(char)
    return np.array(text, dtype=np.uint8)


RIGHT["sample", "a race"] = (drawn_beforehand,)


def sharper_sum(query, features):
    """The sum in plain Python."""
    contexts, shares = np.zeros_like(query), np.zeros(features.shape[:2], query.dtype)
    for n, places in enumerate(features.astype(float)):
        scores = [float(place @ query[n]) / math.sqrt(len(place)) for place in places]
        top = max(scores)
        total = math.fsum(math.exp(s - top) for s in scores)
        shares[n] = [math.exp(s - top) / total for s in scores]
        contexts[n] = sum(w * place for w, place in zip(shares[n], places, strict=True))
    return contexts, shares


RIGHT["attend", "plain Python"] = (sharper_sum,)
