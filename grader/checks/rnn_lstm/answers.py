"""Topic 07, compact right answers: what the mistakes are edits of."""

import numpy as np


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    z = x @ Wx + prev_h @ Wh + b
    next_h = np.tanh(z)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dz = dnext_h * (1 - next_h**2)
    dx, dprev_h = dz @ Wx.T, dz @ Wh.T
    dWx, dWh, db = x.T @ dz, prev_h.T @ dz, dz.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


def rnn_forward(x, h0, Wx, Wh, b):
    state, states, caches = h0, [], []
    for t in range(x.shape[1]):
        state, cache = rnn_step_forward(x[:, t], state, Wx, Wh, b)
        states.append(state)
        caches.append(cache)
    h = np.stack(states, axis=1)
    return h, caches


def rnn_backward(dh, cache):
    N, T, H = dh.shape
    dstate, dxs, sums = np.zeros((N, H), dh.dtype), [], [0, 0, 0]
    for t in reversed(range(T)):
        upstream = dh[:, t] + dstate
        dx, dstate, *parts = rnn_step_backward(upstream, cache[t])
        dxs.append(dx)
        sums = [sum(pair) for pair in zip(sums, parts, strict=True)]
    dx = np.stack(dxs[::-1], axis=1)
    dWx, dWh, db = sums
    return dx, dstate, dWx, dWh, db


def spectral_radius(Wh):
    values = np.linalg.eigvals(Wh)
    return float(np.abs(values).max())


def gradient_norms(Wh, dh, T):
    norms = []
    for _ in range(T + 1):
        norms.append(np.sqrt((dh**2).sum()))
        dh = Wh @ dh
    return np.array(norms)


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    z = x @ Wx + prev_h @ Wh + b
    i, f, o, g = np.split(z, 4, axis=1)
    i, f, o = [0.5 + 0.5 * np.tanh(0.5 * gate) for gate in (i, f, o)]
    g = np.tanh(g)
    next_c = f * prev_c + i * g
    squashed = np.tanh(next_c)
    next_h = o * squashed
    return next_h, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, squashed)


def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, squashed = cache
    do = dnext_h * squashed
    dc = dnext_c + dnext_h * o * (1 - squashed**2)
    di, df, dg = dc * g, dc * prev_c, dc * i
    dprev_c = dc * f
    slopes = [di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)]
    dz = np.concatenate(slopes, axis=1)
    dx, dprev_h = dz @ Wx.T, dz @ Wh.T
    dWx, dWh, db = x.T @ dz, prev_h.T @ dz, dz.sum(axis=0)
    return dx, dprev_h, dprev_c, dWx, dWh, db


def lstm_forward(x, h0, Wx, Wh, b):
    state, cell, states, caches = h0, np.zeros_like(h0), [], []
    for t in range(x.shape[1]):
        state, cell, cache = lstm_step_forward(x[:, t], state, cell, Wx, Wh, b)
        states.append(state)
        caches.append(cache)
    h = np.stack(states, axis=1)
    return h, caches


def lstm_backward(dh, cache):
    N, T, H = dh.shape
    dstate, dcell = np.zeros((N, H), dh.dtype), np.zeros((N, H), dh.dtype)
    dxs, sums = [], [0, 0, 0]
    for t in reversed(range(T)):
        upstream = dh[:, t] + dstate
        dx, dstate, dcell, *parts = lstm_step_backward(upstream, dcell, cache[t])
        dxs.append(dx)
        sums = [sum(pair) for pair in zip(sums, parts, strict=True)]
    dx = np.stack(dxs[::-1], axis=1)
    dWx, dWh, db = sums
    return dx, dstate, dWx, dWh, db


def word_embedding_forward(x, W):
    out = W[x]
    return out, (x, W.shape)


def word_embedding_backward(dout, cache):
    x, shape = cache
    dW = np.zeros(shape, dout.dtype)
    np.add.at(dW, x, dout)
    return dW


def temporal_softmax_loss(x, y, mask):
    N, T, V = x.shape
    labels = np.where(mask, y, 0)
    shifted = x - x.max(axis=2, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    hot = np.eye(V, dtype=x.dtype)[labels]
    losses = -(hot * log_probs).sum(axis=2)
    loss = (losses * mask).sum() / N
    dx = (np.exp(log_probs) - hot) * mask[:, :, None]
    dx = dx / N
    return loss, dx


def char_loss(params, x, y):
    p = params
    words, embed_cache = word_embedding_forward(x, p["W_embed"])
    h0 = np.zeros((len(x), len(p["Wh"])), words.dtype)
    h, lstm_cache = lstm_forward(words, h0, p["Wx"], p["Wh"], p["b"])
    scores = h @ p["W_out"] + p["b_out"]
    loss, dscores = temporal_softmax_loss(scores, y, np.ones(y.shape, bool))
    dh = dscores @ p["W_out"].T
    dW_out = np.einsum("nth,ntv->hv", h, dscores)
    db_out = dscores.sum(axis=(0, 1))
    dwords, _, dWx, dWh, db = lstm_backward(dh, lstm_cache)
    dW_embed = word_embedding_backward(dwords, embed_cache)
    grads = {"W_embed": dW_embed, "Wx": dWx, "Wh": dWh, "b": db}
    grads |= {"W_out": dW_out, "b_out": db_out}
    return loss, grads


def sample(params, start, length, temperature, rng):
    p, char, chars = params, start, []
    h = np.zeros((1, len(p["Wh"])))
    c = np.zeros((1, len(p["Wh"])))
    for _ in range(length):
        x = p["W_embed"][[char]]
        h, c, _ = lstm_step_forward(x, h, c, p["Wx"], p["Wh"], p["b"])
        scores = (h @ p["W_out"] + p["b_out"])[0].astype(float)
        scores = scores / temperature
        probs = np.exp(scores - scores.max())
        probs = probs / probs.sum()
        char = int(rng.choice(len(probs), p=probs))
        chars.append(char)
    return np.array(chars)


def attend(query, features):
    N, K, D = features.shape
    scores = np.einsum("nkd,nd->nk", features, query)
    scores = scores / np.sqrt(D).astype(scores.dtype)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = weights / weights.sum(axis=1, keepdims=True)
    context = np.einsum("nk,nkd->nd", weights, features)
    return context, weights
