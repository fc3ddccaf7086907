"""Topic 01, right answers that look unlike the usual ones, to sample a class from.

``UNUSUAL`` maps a group of functions that belong together to answers, each of them the
functions of that group under the names that the notebook gives them. They need no more
than NumPy as ``np``, so that their source can stand in a notebook.
"""

from collections.abc import Callable

import numpy as np

from grader.checks.unusual import collect_into

UNUSUAL: dict[str, list[tuple[Callable, ...]]] = {}
_unusual = collect_into(UNUSUAL)


@_unusual
def affine__by_einsum():
    def affine_forward(x, w, b):
        shaped = w.reshape(*x.shape[1:], -1)
        axes = "nijkl"[: x.ndim]
        out = np.einsum(f"{axes},{axes[1:]}m->nm", x, shaped) + b
        return out, {"x": x, "w": w}

    def affine_backward(dout, cache):
        rows = cache["x"].reshape(len(dout), -1)
        dx = np.einsum("nm,dm->nd", dout, cache["w"]).reshape(cache["x"].shape)
        return dx, np.einsum("nd,nm->dm", rows, dout), np.einsum("nm->m", dout)

    return affine_forward, affine_backward


@_unusual
def affine__column_by_column():
    def affine_forward(x, w, b):
        rows = np.stack([sample.flatten() for sample in x])
        columns = [rows @ w[:, m] + b[m] for m in range(len(b))]
        return np.stack(columns, axis=1), lambda: (rows, w, x.shape)

    def affine_backward(dout, cache):
        rows, w, shape = cache()
        dw, db = np.zeros_like(w), np.zeros(w.shape[1], w.dtype)
        dx = np.zeros_like(rows)
        for m, column in enumerate(dout.T):
            dw[:, m] = rows.T @ column
            db[m] = column.sum()
            dx += np.outer(column, w[:, m])
        return dx.reshape(shape), dw, db

    return affine_forward, affine_backward


@_unusual
def relu__half_of_a_sum():
    def relu_forward(x):
        out = (x + np.abs(x)) / 2
        return out, out

    def relu_backward(dout, cache):
        dx = dout.copy()
        dx[cache == 0] = 0
        return dx

    return relu_forward, relu_backward


@_unusual
def sigmoid__in_halves():
    def sigmoid_forward(x):
        out = np.empty_like(x)
        low = x < 0
        out[low] = np.exp(x[low]) / (1 + np.exp(x[low]))
        out[~low] = 1 / (1 + np.exp(-x[~low]))
        return out, out

    def sigmoid_backward(dout, cache):
        return dout * (cache - cache**2)

    return sigmoid_forward, sigmoid_backward


@_unusual
def sigmoid__by_tanh():
    def sigmoid_forward(x):
        return (1 + np.tanh(x / 2)) / 2, x

    def sigmoid_backward(dout, cache):
        return dout * (1 - np.tanh(cache / 2) ** 2) / 4

    return sigmoid_forward, sigmoid_backward


@_unusual
def tanh__by_falling_powers():
    def tanh_forward(x):
        small = np.exp(-2 * np.abs(x))
        return np.sign(x) * (1 - small) / (1 + small), small

    def tanh_backward(dout, cache):
        return 4 * dout * cache / (1 + cache) ** 2

    return tanh_forward, tanh_backward


@_unusual
def leaky_relu__by_slopes():
    def leaky_relu_forward(x):
        slopes = np.ones_like(x)
        slopes[x < 0] = 0.1
        return x * slopes, slopes

    def leaky_relu_backward(dout, cache):
        return np.multiply(cache, dout)

    return leaky_relu_forward, leaky_relu_backward


@_unusual
def maxout__by_sorting():
    def maxout_forward(x):
        order = np.argsort(x, axis=-1)
        return np.sort(x, axis=-1)[..., -1], (order[..., -1], x.shape[-1])

    def maxout_backward(dout, cache):
        winner, K = cache
        return dout[..., None] * (winner[..., None] == np.arange(K))

    return maxout_forward, maxout_backward


@_unusual
def l2_loss__by_norms():
    def l2_loss(pred, target):
        norms = np.linalg.norm(pred - target, axis=1)
        return np.mean(norms**2), (pred - target) * (2 / pred.shape[0])

    return (l2_loss,)


@_unusual
def svm_loss__by_loops():
    def svm_loss(x, y):
        loss, dx = 0.0, np.zeros_like(x)
        for n in range(len(x)):
            for c in range(x.shape[1]):
                gap = x[n, c] - x[n, y[n]] + 1
                if c != y[n] and gap > 0:
                    loss += gap
                    dx[n, c] += 1
                    dx[n, y[n]] -= 1
        return loss / len(x), dx / len(x)

    return (svm_loss,)


@_unusual
def log_softmax__by_logaddexp():
    def log_softmax(x):
        return x - np.logaddexp.reduce(x, axis=1)[:, None]

    return (log_softmax,)


@_unusual
def softmax_loss__by_one_hot():
    def softmax_loss(x, y):
        hot = np.eye(x.shape[1], dtype=x.dtype)[y]
        lse = np.logaddexp.reduce(x, axis=1, keepdims=True)
        loss = np.mean(lse[:, 0] - (x * hot).sum(axis=1))
        return float(loss), (np.exp(x - lse) - hot) / len(x)

    return (softmax_loss,)


@_unusual
def numerical_gradient__by_basis():
    def numerical_gradient(f, x, h=1e-5):
        slopes = []
        for i in range(x.size):
            step = np.zeros(x.size)
            step[i] = h
            step = step.reshape(x.shape)
            slopes.append((f(x + step) - f(x - step)) / 2 / h)
        return np.array(slopes).reshape(x.shape)

    return (numerical_gradient,)


@_unusual
def gradient_descent__in_place():
    def gradient_descent(net, X, y, learning_rate, num_steps):
        losses = np.zeros(num_steps)
        for step in range(num_steps):
            losses[step], grads = net.loss(X, y)
            for name, value in net.params.items():
                value -= learning_rate * grads[name]
        return losses

    return (gradient_descent,)
