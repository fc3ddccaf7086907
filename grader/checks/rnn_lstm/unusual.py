"""Topic 07, right answers that look unlike the usual ones, to sample a class from.

``UNUSUAL`` maps a group of functions that belong together to answers, each of them the
functions of that group under the names that the notebook gives them. They need no more
than NumPy as ``np`` and PyTorch as ``torch``, so that their source can stand in a
notebook.
"""

from collections.abc import Callable

import numpy as np
import torch

from grader.checks.unusual import collect_into

UNUSUAL: dict[str, list[tuple[Callable, ...]]] = {}
_unusual = collect_into(UNUSUAL)


@_unusual
def rnn_step__one_matrix():
    def rnn_step_forward(x, prev_h, Wx, Wh, b):
        both, W = np.hstack([x, prev_h]), np.vstack([Wx, Wh])
        next_h = np.tanh(both @ W + b)
        return next_h, (both, W, next_h, x.shape[1])

    def rnn_step_backward(dnext_h, cache):
        both, W, next_h, D = cache
        inner = dnext_h - next_h * next_h * dnext_h
        dboth, dW = inner @ W.T, both.T @ inner
        return dboth[:, :D], dboth[:, D:], dW[:D], dW[D:], inner.sum(0)

    return rnn_step_forward, rnn_step_backward


@_unusual
def rnn__all_inputs_at_once():
    def rnn_forward(x, h0, Wx, Wh, b):
        states = [h0]
        for inputs in np.moveaxis(x @ Wx + b, 1, 0):
            states.append(np.tanh(inputs + states[-1] @ Wh))
        h = np.stack(states, axis=1)
        return h[:, 1:], (x, h.copy(), Wx, Wh)

    def rnn_backward(dh, cache):
        x, h, Wx, Wh = cache
        dz, back = np.zeros_like(dh), 0
        for t in range(dh.shape[1])[::-1]:
            dz[:, t] = (dh[:, t] + back) * (1 - h[:, t + 1] ** 2)
            back = dz[:, t] @ Wh.T
        dWx = np.einsum("ntd,nth->dh", x, dz)
        dWh = np.einsum("ntk,nth->kh", h[:, :-1], dz)
        return dz @ Wx.T, back, dWx, dWh, dz.sum((0, 1))

    return rnn_forward, rnn_backward


@_unusual
def recurrence__by_powers():
    def spectral_radius(Wh):
        values = np.linalg.eig(Wh.astype(float)).eigenvalues
        return np.sqrt((values.real**2 + values.imag**2).max())

    def gradient_norms(Wh, dh, T):
        powers = [np.linalg.matrix_power(Wh, t) for t in range(T + 1)]
        return np.linalg.norm(np.stack([power @ dh for power in powers]), axis=1)

    return spectral_radius, gradient_norms


@_unusual
def lstm_step__gates_stacked():
    def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
        z = np.stack(np.array_split(x @ Wx + prev_h @ Wh + b, 4, axis=1))
        small = np.exp(-np.abs(z[:3]))
        gates = np.where(z[:3] < 0, small, np.ones_like(small)) / (1 + small)
        g = np.tanh(z[3])
        next_c = gates[1] * prev_c + gates[0] * g
        next_h = gates[2] * np.tanh(next_c)
        kept = {"x": x, "h": prev_h, "c": prev_c, "Wx": Wx, "Wh": Wh}
        return next_h, next_c, kept | {"gates": gates, "g": g, "next_c": next_c}

    def lstm_step_backward(dnext_h, dnext_c, cache):
        (i, f, o), g, c = cache["gates"], cache["g"], cache["next_c"]
        squashed = np.tanh(c)
        dc = dnext_c + dnext_h * o * (1 - squashed) * (1 + squashed)
        to_i, to_f, to_o = dc * g, dc * cache["c"], dnext_h * squashed
        parts = [to_i * i * (1 - i), to_f * f * (1 - f), to_o * o * (1 - o)]
        dz = np.hstack([*parts, dc * i * (1 - g * g)])
        dx, dh = dz @ cache["Wx"].T, dz @ cache["Wh"].T
        dWx, dWh = cache["x"].T @ dz, cache["h"].T @ dz
        return dx, dh, f * dc, dWx, dWh, dz.sum(0)

    return lstm_step_forward, lstm_step_backward


@_unusual
def lstm__by_autograd():
    def lstm_forward(x, h0, Wx, Wh, b):
        given = [torch.tensor(a, requires_grad=True) for a in (x, h0, Wx, Wh, b)]
        inputs, h, Wx, Wh, b = given
        c, states = torch.zeros_like(h), []
        for t in range(inputs.shape[1]):
            i, f, o, g = (inputs[:, t] @ Wx + h @ Wh + b).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        out = torch.stack(states, dim=1)
        return out.detach().numpy().copy(), (out, given)

    def lstm_backward(dh, cache):
        out, given = cache
        dout = torch.tensor(dh)
        grads = torch.autograd.grad(out, given, dout, retain_graph=True)
        return tuple(grad.numpy() for grad in grads)

    return lstm_forward, lstm_backward


@_unusual
def word_embedding__one_hot():
    def word_embedding_forward(x, W):
        hot = np.eye(len(W), dtype=W.dtype)[x]
        return hot @ W, hot

    def word_embedding_backward(dout, cache):
        return np.einsum("ntv,ntd->vd", cache, dout)

    return word_embedding_forward, word_embedding_backward


@_unusual
def temporal_softmax_loss__of_what_counts():
    def temporal_softmax_loss(x, y, mask):
        dx, loss = np.zeros_like(x), 0.0
        for n, t in np.argwhere(mask):
            scores = x[n, t] - x[n, t].max()
            total = np.exp(scores).sum()
            loss += float(np.log(total) - scores[y[n, t]])
            dx[n, t] = np.exp(scores) / total
            dx[n, t, y[n, t]] -= 1
        return loss / len(x), dx / len(x)

    return (temporal_softmax_loss,)


@_unusual
def char_loss__by_torch():
    def char_loss(params, x, y):
        p = {n: torch.tensor(v, requires_grad=True) for n, v in params.items()}
        words = p["W_embed"][torch.tensor(x)]
        h = c = torch.zeros(len(x), len(params["Wh"]), dtype=words.dtype)
        loss, rows = 0, torch.arange(len(x))
        for t in range(x.shape[1]):
            z = words[:, t] @ p["Wx"] + h @ p["Wh"] + p["b"]
            i, f, o, g = z.chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            log_probs = torch.log_softmax(h @ p["W_out"] + p["b_out"], dim=1)
            loss = loss - log_probs[rows, torch.tensor(y[:, t])].mean()
        loss.backward()
        return loss.item(), {n: v.grad.numpy() for n, v in p.items()}

    return (char_loss,)


@_unusual
def sample__gumbel():
    def sample(params, start, length, temperature, rng):
        H = len(params["Wh"])
        h, c, text = np.zeros(H), np.zeros(H), [start]
        for _ in range(length):
            z = params["W_embed"][text[-1]] @ params["Wx"] + h @ params["Wh"]
            i, f, o, g = np.float64(z + params["b"]).reshape(4, H)
            i, f, o = ((1 + np.tanh(gate / 2)) / 2 for gate in (i, f, o))
            c = f * c + i * np.tanh(g)
            h = o * np.tanh(c)
            scores = (h @ params["W_out"] + params["b_out"]) / temperature
            text.append(int((scores + rng.gumbel(size=scores.shape)).argmax()))
        return np.array(text[1:])

    return (sample,)


@_unusual
def attend__by_matmul():
    def attend(query, features):
        scores = np.matmul(features, query[..., None])[..., 0]
        scores = scores * query.dtype.type(query.shape[1] ** -0.5)
        weights = np.exp(scores - np.logaddexp.reduce(scores, axis=1)[:, None])
        return np.matmul(weights[:, None], features)[:, 0], weights

    return (attend,)
