"""Topic 07: right answers that look unlike the ones in the solution."""

import math
from collections import namedtuple
from itertools import accumulate, product

import numpy as np
import scipy.special
import torch
import torch.nn.functional as F

from grader.checks.rnn_lstm import answers as right

UNUSUAL: dict[str, dict[str, tuple]] = {}


def unusual(*exercises):
    """Register a function, or what a function named "pair_…" returns, as an answer: to
    the first exercise its first part, to the second all of it."""

    def register(answer):
        answers = answer() if answer.__name__.startswith("pair_") else (answer,)
        for count, exercise in enumerate(exercises, start=1):
            some = answers[:count] if len(exercises) > 1 else answers
            UNUSUAL.setdefault(exercise, {})[answer.__name__] = some
        return answer

    return register


def differentiated(function):
    """Return forward and backward of a function of tensors, by PyTorch."""

    def forward(*arrays):
        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        outs = function(*tensors)
        return *(o.detach().clone().numpy() for o in outs), (tensors, outs)

    def backward(*given):
        *douts, (tensors, outs) = given
        douts = [torch.tensor(d) for d in douts]
        grads = torch.autograd.grad(outs, tensors, douts, retain_graph=True)
        return [g.numpy() for g in grads]

    return forward, backward


# --- the plain step ---


@unusual("rnn_step_forward", "rnn_step_backward")
def pair_rnn_step_by_autograd():
    return differentiated(lambda x, h, Wx, Wh, b: (torch.tanh(x @ Wx + h @ Wh + b),))


@unusual("rnn_step_forward", "rnn_step_backward")
def pair_rnn_step_by_one_matrix():
    def forward(x, prev_h, Wx, Wh, b):
        both = np.hstack([x, prev_h, np.ones((len(x), 1), x.dtype)])
        W = np.vstack([Wx, Wh, b])
        out = np.tanh(np.dot(both, W))
        return out, {"both": both, "W": W, "out": out, "D": x.shape[1]}

    def backward(dnext_h, cache):
        D = cache["D"]
        inner = dnext_h - dnext_h * np.square(cache["out"])
        dboth, dW = inner @ cache["W"].T, cache["both"].T @ inner
        return dboth[:, :D], dboth[:, D:-1], dW[:D], dW[D:-1], dW[-1]

    return forward, backward


@unusual("rnn_step_forward", "rnn_step_backward")
def pair_rnn_step_computed_again():
    """Keeps the inputs alone, and works in float64."""

    def forward(x, prev_h, Wx, Wh, b):
        z = np.add(x.astype(float).dot(Wx) + np.einsum("nh,hk->nk", prev_h, Wh), b)
        # 1 - 2 / (e^2z + 1), by a sigmoid that never overflows
        return (2 * scipy.special.expit(2 * z) - 1).astype(x.dtype), [
            x,
            prev_h,
            Wx,
            Wh,
            b,
        ]

    def backward(dnext_h, cache):
        x, prev_h, Wx, Wh, b = (a.astype(float) for a in cache)
        z = np.clip(x @ Wx + prev_h @ Wh + b, -300, 300)
        dz = dnext_h / np.cosh(z) ** 2
        grads = (
            dz @ Wx.T,
            (Wh @ dz.T).T,
            (dz.T @ x).T,
            (dz.T @ prev_h).T,
            np.ones(len(x)) @ dz,
        )
        return tuple(g.astype(dnext_h.dtype) for g in grads)

    return forward, backward


# --- plain sequences ---


def _plain_states(x, h, Wx, Wh, b):
    states = []
    for x_t in x.unbind(1):
        h = torch.tanh(x_t @ Wx + h @ Wh + b)
        states.append(h)
    return (torch.stack(states, 1),)


@unusual("rnn_forward", "rnn_backward")
def pair_rnn_by_autograd():
    return differentiated(_plain_states)


@unusual("rnn_forward", "rnn_backward")
def pair_rnn_vectorized():
    """Products with x for all steps at once; weights' gradients after the loop."""

    def forward(x, h0, Wx, Wh, b):
        N, T, _ = x.shape
        h = np.empty((N, T + 1, len(b)), x.dtype)
        h[:, 0] = h0
        inputs = x @ Wx + b
        for t in range(T):
            np.tanh(inputs[:, t] + h[:, t] @ Wh, out=h[:, t + 1])
        return h[:, 1:].copy(), (x, h, Wx, Wh)

    def backward(dh, cache):
        x, h, Wx, Wh = cache
        dz, back = np.empty_like(dh), 0
        for t in range(dh.shape[1] - 1, -1, -1):
            dz[:, t] = (dh[:, t] + back) * (1 - h[:, t + 1] ** 2)
            back = dz[:, t] @ Wh.T
        dWx = np.einsum("ntd,nth->dh", x, dz)
        dWh = np.einsum("ntk,nth->kh", h[:, :-1], dz)
        return dz @ Wx.T, back, dWx, dWh, dz.sum((0, 1))

    return forward, backward


@unusual("rnn_forward", "rnn_backward")
def pair_rnn_time_first():
    """A scan over time-first arrays, and a recursion's stack on the way back."""

    def forward(x, h0, Wx, Wh, b):
        steps = x.swapaxes(0, 1)
        states = list(
            accumulate(steps, lambda h, s: np.tanh(s @ Wx + h @ Wh + b), initial=h0)
        )
        return np.array(states[1:]).swapaxes(0, 1), (steps, tuple(states), Wx, Wh)

    def backward(dh, cache):
        steps, states, Wx, Wh = cache
        dx = np.zeros((dh.shape[0], dh.shape[1], len(Wx)), dh.dtype)
        dWx, dWh = np.zeros_like(Wx), np.zeros_like(Wh)
        db, carried = np.zeros(len(Wh), Wh.dtype), np.zeros_like(states[0])
        for t, grad in reversed(list(enumerate(dh.swapaxes(0, 1)))):
            carried = (1 - states[t + 1] ** 2) * (carried + grad)
            dx[:, t] = carried @ Wx.T
            dWx += steps[t].T @ carried
            dWh += states[t].T @ carried
            db += carried.sum(0)
            carried = carried @ Wh.T
        return dx, carried, dWx, dWh, db

    return forward, backward


# --- the recurrence alone ---


@unusual("spectral_radius")
def by_torch(Wh):
    return torch.linalg.eigvals(torch.tensor(Wh).double()).abs().max().item()


@unusual("spectral_radius")
def by_squaring(Wh):
    """Gelfand's formula: the k-th root of the norm of the k-th power, k = 2^40."""
    power, log_norm, k = np.array(Wh, float), 0.0, 1.0
    for _ in range(40):
        norm = np.linalg.norm(power)
        if norm == 0:
            return 0.0
        power = power / norm
        log_norm += np.log(norm) / k
        power, k = power @ power, 2 * k
    return np.exp(log_norm)


@unusual("spectral_radius")
def by_the_real_and_imaginary_parts(Wh):
    values, _ = np.linalg.eig(np.float64(Wh))
    return max(math.hypot(v.real, v.imag) for v in values)


@unusual("gradient_norms")
def by_powers(Wh, dh, T):
    powers = [np.linalg.matrix_power(np.float64(Wh.T), t) for t in range(T + 1)]
    return np.array([math.hypot(*(dh @ p)) for p in powers]).astype(dh.dtype)


@unusual("gradient_norms")
def by_a_scan(Wh, dh, T):
    grads = accumulate(range(T), lambda g, _: Wh.dot(g), initial=dh)
    return np.linalg.norm(np.stack(list(grads)), axis=1)


@unusual("gradient_norms")
def by_autograd(Wh, dh, T):
    state = torch.zeros(len(dh), dtype=torch.tensor(dh).dtype, requires_grad=True)
    first, states = state, [state]
    for _ in range(T):
        state = state @ torch.tensor(Wh)
        states.append(state)
    grads = (
        torch.autograd.grad(state @ torch.tensor(dh), states)
        if T
        else [torch.tensor(dh)]
    )
    assert first.shape == dh.shape
    return torch.stack([g.norm() for g in reversed(grads)]).numpy()


# --- the LSTM's step ---


def _lstm(x, h, c, Wx, Wh, b):
    i, f, o, g = (x @ Wx + h @ Wh + b).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


@unusual("lstm_step_forward", "lstm_step_backward")
def pair_lstm_step_by_autograd():
    return differentiated(_lstm)


@unusual("lstm_step_forward", "lstm_step_backward")
def pair_lstm_step_gate_by_gate():
    """Four small matrices, and a sigmoid in two branches."""

    def sigmoid(z):
        small = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + small), small / (1 + small))

    def forward(x, prev_h, prev_c, Wx, Wh, b):
        H = prev_h.shape[1]
        parts = [slice(k * H, (k + 1) * H) for k in range(4)]
        sums = [x @ Wx[:, p] + prev_h @ Wh[:, p] + b[p] for p in parts]
        i, f, o = map(sigmoid, sums[:3])
        g = np.tanh(sums[3])
        c = i * g + prev_c * f
        return np.tanh(c) * o, c, (x, prev_h, prev_c, Wx, Wh, (i, f, o, g), c)

    def backward(dnext_h, dnext_c, cache):
        x, prev_h, prev_c, Wx, Wh, (i, f, o, g), c = cache
        H = prev_h.shape[1]
        slope = 1 - np.tanh(c) ** 2
        dc = dnext_h * o * slope + dnext_c
        pieces = (
            dc * g * (i - i**2),
            dc * prev_c * (f - f**2),
            dnext_h * np.tanh(c) * (o - o**2),
            dc * i * (1 - g) * (1 + g),
        )
        dx, dh = np.zeros_like(x), np.zeros_like(prev_h)
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(Wx[0])
        for k, piece in enumerate(pieces):
            p = slice(k * H, (k + 1) * H)
            dx += piece @ Wx[:, p].T
            dh += piece @ Wh[:, p].T
            dWx[:, p], dWh[:, p], db[p] = x.T @ piece, prev_h.T @ piece, piece.sum(0)
        return dx, dh, f * dc, dWx, dWh, db

    return forward, backward


@unusual("lstm_step_forward", "lstm_step_backward")
def pair_lstm_step_reshaped():
    """All gates in one array (N, 4, H), scipy's sigmoid, and a named tuple."""
    Kept = namedtuple("Kept", "x h c Wx Wh gates squashed")

    def forward(x, prev_h, prev_c, Wx, Wh, b):
        z = (x @ Wx + prev_h @ Wh + b).reshape(len(x), 4, -1)
        gates = np.concatenate(
            [scipy.special.expit(z[:, :3]), np.tanh(z[:, 3:])], axis=1
        )
        next_c = gates[:, 1] * prev_c + gates[:, 0] * gates[:, 3]
        squashed = np.tanh(next_c)
        kept = Kept(x, prev_h, prev_c, Wx, Wh, gates, squashed)
        return [gates[:, 2] * squashed, next_c, kept]

    def backward(dnext_h, dnext_c, kept):
        gates = kept.gates
        dgates = np.empty_like(gates)
        dc = dnext_c + dnext_h * gates[:, 2] * (1 - kept.squashed**2)
        dgates[:, 0], dgates[:, 1] = dc * gates[:, 3], dc * kept.c
        dgates[:, 2], dgates[:, 3] = dnext_h * kept.squashed, dc * gates[:, 0]
        dgates[:, :3] *= gates[:, :3] * (1 - gates[:, :3])
        dgates[:, 3] *= 1 - gates[:, 3] ** 2
        dz = dgates.reshape(len(gates), -1)
        dx, dh = (
            np.einsum("ng,dg->nd", dz, kept.Wx),
            np.einsum("ng,hg->nh", dz, kept.Wh),
        )
        dW = np.einsum("nd,ng->dg", kept.x, dz), np.einsum("nh,ng->hg", kept.h, dz)
        return [dx, dh, dc * gates[:, 1], *dW, np.add.reduce(dz)]

    return forward, backward


# --- sequences of the LSTM ---


def _lstm_states(x, h, *weights):
    states, c = [], torch.zeros_like(h)
    for x_t in x.unbind(1):
        h, c = _lstm(x_t, h, c, *weights)
        states.append(h)
    return (torch.stack(states, 1),)


@unusual("lstm_forward", "lstm_backward")
def pair_lstm_by_autograd():
    return differentiated(_lstm_states)


@unusual("lstm_forward", "lstm_backward")
def pair_lstm_by_recursion():
    def forward(x, h0, Wx, Wh, b, c0=None):
        c0 = 0 * h0 if c0 is None else c0
        h1, c1, first = right.lstm_step_forward(x[:, 0], h0, c0, Wx, Wh, b)
        if x.shape[1] == 1:
            return h1[:, None], (first, None)
        h, rest = forward(x[:, 1:], h1, Wx, Wh, b, c1)
        return np.concatenate([h1[:, None], h], axis=1), (first, rest)

    def walk(dh, cache):
        first, rest = cache
        if rest is None:
            later, dh1, dc1 = None, 0, np.zeros_like(dh[:, 0])
        else:
            *later, dh1, dc1 = walk(dh[:, 1:], rest)
        step = right.lstm_step_backward(dh[:, 0] + dh1, dc1, first)
        dx, dh0, dc0, *sums = step
        dx = dx[:, None]
        if later:
            dx = np.concatenate([dx, later[0]], axis=1)
            sums = [a + b for a, b in zip(sums, later[1:], strict=True)]
        return [dx, *sums, dh0, dc0]

    def backward(dh, cache):
        dx, dWx, dWh, db, dh0, _ = walk(dh, cache)
        return dx, dh0, dWx, dWh, db

    return forward, backward


@unusual("lstm_forward", "lstm_backward")
def pair_lstm_preallocated():
    def forward(x, h0, Wx, Wh, b):
        N, T, _ = x.shape
        h, c, steps = np.zeros((T + 1, *h0.shape), x.dtype), np.zeros_like(h0), {}
        h[0] = h0
        for t in range(T):
            h[t + 1], c, steps[t] = right.lstm_step_forward(x[:, t], h[t], c, Wx, Wh, b)
        return np.moveaxis(h[1:], 0, 1), (steps, x.shape, Wx, Wh)

    def backward(dh, cache):
        steps, shape, Wx, Wh = cache
        dx, dWx, dWh = np.empty(shape, dh.dtype), np.zeros_like(Wx), np.zeros_like(Wh)
        db, state = np.zeros_like(Wh[0]), np.zeros_like(dh[:, 0])
        cell = state.copy()
        for t in sorted(steps, reverse=True):
            dx[:, t], state, cell, *more = right.lstm_step_backward(
                np.add(dh[:, t], state), cell, steps[t]
            )
            for total, part in zip((dWx, dWh, db), more, strict=True):
                total += part
        return dx, state, dWx, dWh, db

    return forward, backward


# --- words ---


@unusual("word_embedding_forward", "word_embedding_backward")
def pair_embedding_by_one_hot():
    def forward(x, W):
        hot = (x[..., None] == np.arange(len(W))).astype(W.dtype)
        return hot @ W, hot

    def backward(dout, hot):
        return np.tensordot(hot, dout, axes=([0, 1], [0, 1]))

    return forward, backward


@unusual("word_embedding_forward", "word_embedding_backward")
def pair_embedding_by_take():
    def forward(x, W):
        return np.take(W, x, axis=0), (x.copy(), len(W))

    def backward(dout, cache):
        x, V = cache
        flat, grads = x.reshape(-1), dout.reshape(-1, dout.shape[-1])
        columns = [np.bincount(flat, weights=g, minlength=V) for g in grads.T]
        return np.stack(columns, axis=1).astype(dout.dtype)

    return forward, backward


@unusual("word_embedding_forward", "word_embedding_backward")
def pair_embedding_with_loops():
    def forward(x, W):
        return np.array([[W[word] for word in row] for row in x]), (x, W)

    def backward(dout, cache):
        x, W = cache
        dW = np.zeros(W.shape, dout.dtype)
        for n, t in product(*map(range, x.shape)):
            dW[x[n, t]] += dout[n, t]
        return dW

    return forward, backward


# --- the loss ---


@unusual("temporal_softmax_loss")
def loss_by_torch(x, y, mask):
    scores = torch.tensor(x, requires_grad=True)
    picked = scores[torch.tensor(mask)]
    target = torch.tensor(y[mask], dtype=torch.long)
    loss = F.cross_entropy(picked, target, reduction="sum") / len(x)
    loss.backward()
    return loss.item(), scores.grad.numpy()


@unusual("temporal_softmax_loss")
def loss_of_what_counts(x, y, mask):
    """Works on the unmasked rows alone."""
    dx = np.zeros_like(x)
    if not mask.any():
        return 0, dx
    rows, labels = x[mask].astype(float), y[mask]
    log_probs = rows - scipy.special.logsumexp(rows, axis=1)[:, None]
    grads = np.exp(log_probs)
    grads[range(len(rows)), labels] -= 1
    dx[mask] = grads / len(x)
    return -np.trace(log_probs[:, labels]) / len(x), dx


@unusual("temporal_softmax_loss")
def loss_with_loops(x, y, mask):
    N, T, V = x.shape
    loss, dx = 0.0, np.zeros_like(x)
    for n, t in zip(*np.nonzero(mask), strict=True):
        probs = scipy.special.softmax(x[n, t].astype(float))
        loss += scipy.special.logsumexp(x[n, t].astype(float)) - x[n, t, y[n, t]]
        dx[n, t] = (probs - (np.arange(V) == y[n, t])) / N
    return np.float32(loss / N) if x.dtype == np.float32 else loss / N, dx


# --- models ---


@unusual("char_loss")
def char_loss_by_torch(params, x, y):
    p = {
        name: torch.tensor(value, requires_grad=True) for name, value in params.items()
    }
    words = p["W_embed"][torch.tensor(x)]
    h0 = torch.zeros(len(x), len(params["Wh"]), dtype=words.dtype)
    (h,) = _lstm_states(words, h0, p["Wx"], p["Wh"], p["b"])
    scores = (h @ p["W_out"] + p["b_out"]).movedim(2, 1)
    loss = F.cross_entropy(scores, torch.tensor(y), reduction="none").sum(1).mean()
    loss.backward()
    return loss.item(), {name: value.grad.numpy() for name, value in p.items()}


@unusual("char_loss")
def char_loss_flat(params, x, y):
    """Rows of all steps in one matrix, one-hot inputs, and a dict made at the end."""
    W_embed, Wx, Wh, b = (params[n] for n in ("W_embed", "Wx", "Wh", "b"))
    hot = np.eye(len(W_embed), dtype=Wx.dtype)[x]
    h, cache = right.lstm_forward(
        hot @ W_embed, np.zeros((len(x), len(Wh)), Wx.dtype), Wx, Wh, b
    )
    flat = h.reshape(-1, len(Wh))
    scores = flat @ params["W_out"] + params["b_out"]
    probs = scipy.special.softmax(scores, axis=1)
    rows = np.arange(len(flat)), y.ravel()
    loss = -scipy.special.log_softmax(scores, axis=1)[rows].sum() / len(x)
    probs[rows] -= 1
    probs /= len(x)
    dh = (probs @ params["W_out"].T).reshape(h.shape)
    dwords, _, *lstm = right.lstm_backward(dh, cache)
    dW_embed = hot.reshape(-1, hot.shape[2]).T @ dwords.reshape(-1, dwords.shape[2])
    names = ("W_out", "b_out", "W_embed", "Wx", "Wh", "b")
    return loss, dict(
        zip(names, (flat.T @ probs, probs.sum(0), dW_embed, *lstm), strict=True)
    )


@unusual("char_loss")
def char_loss_one_sequence_at_a_time(params, x, y):
    total, grads = 0.0, {name: np.zeros_like(v) for name, v in params.items()}
    for one_x, one_y in zip(x, y, strict=True):
        loss, more = right.char_loss(params, one_x[None], one_y[None])
        total += float(loss)
        for name in grads:
            grads[name] = grads[name] + more[name] / len(x)
    return total / len(x), {n: g.astype(params[n].dtype) for n, g in grads.items()}


def _scores(params, char, h, c):
    p = params
    h, c, _ = right.lstm_step_forward(
        p["W_embed"][[char]], h, c, p["Wx"], p["Wh"], p["b"]
    )
    return h, c, np.float64(h[0] @ p["W_out"] + p["b_out"])


def _zeros(params):
    return np.zeros((1, len(params["Wh"]))), np.zeros((1, len(params["Wh"])))


@unusual("sample")
def by_gumbel_noise(params, start, length, temperature, rng):
    """The largest of scores with noise is drawn by their softmax."""
    (h, c), text = _zeros(params), [start]
    while len(text) <= length:
        h, c, scores = _scores(params, text[-1], h, c)
        text.append(int(np.argmax(scores / temperature + rng.gumbel(size=len(scores)))))
    return text[1:]


@unusual("sample")
def by_cumulative_sums(params, start, length, temperature, rng):
    (h, c), char = _zeros(params), start
    text = np.empty(length, dtype=np.int32)
    for place, u in enumerate(rng.random(length)):
        h, c, scores = _scores(params, char, h, c)
        shares = scipy.special.softmax(scores / temperature).cumsum()
        char = text[place] = min(
            np.searchsorted(shares, u * shares[-1]), len(shares) - 1
        )
    return text


@unusual("sample")
def by_torch_and_multinomial(params, start, length, temperature, rng):
    p = {name: torch.tensor(value) for name, value in params.items()}
    state = (torch.zeros(1, len(p["Wh"]), dtype=p["Wh"].dtype),) * 2
    text, char = [], start
    for _ in range(length):
        state = _lstm(p["W_embed"][[char]], *state, p["Wx"], p["Wh"], p["b"])
        scores = (state[0] @ p["W_out"] + p["b_out"])[0].double()
        probs = torch.softmax(scores / temperature, dim=0).numpy()
        char = int(rng.multinomial(1, probs / probs.sum()).argmax())
        text.append(char)
    return np.asarray(text)


@unusual("attend")
def attend_by_torch(query, features):
    q, f = torch.tensor(query), torch.tensor(features)
    weights = torch.softmax((f * q[:, None]).sum(2) / q.shape[1] ** 0.5, dim=1)
    return (weights[:, :, None] * f).sum(1).numpy(), weights.numpy()


@unusual("attend")
def attend_with_loops(query, features):
    contexts, shares = [], []
    for q, places in zip(query.astype(float), features.astype(float), strict=True):
        shares.append(scipy.special.softmax(places @ q / math.sqrt(len(q))))
        contexts.append(shares[-1] @ places)
    return np.array(contexts).astype(query.dtype), np.array(shares).astype(query.dtype)


@unusual("attend")
def attend_scaling_the_query(query, features):
    scaled = query * query.dtype.type(query.shape[1] ** -0.5)
    scores = np.matmul(features, scaled[..., None])
    log_sum = np.logaddexp.reduce(scores, axis=1, keepdims=True)
    weights = np.exp(scores - log_sum)
    return [(features * weights).sum(1), weights.squeeze(2)]
