"""Topic 01, compact right answers: what the mistakes are edits of."""

import numpy as np


def affine_forward(x, w, b):
    rows = x.reshape(x.shape[0], -1)
    out = rows @ w + b
    return out, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    rows = x.reshape(x.shape[0], -1)
    dx = (dout @ w.T).reshape(x.shape)
    dw = rows.T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def relu_forward(x):
    out = np.maximum(x, 0)
    return out, x


def relu_backward(dout, cache):
    dx = dout * (cache > 0)
    return dx


def sigmoid_forward(x):
    out = 0.5 * np.tanh(0.5 * x) + 0.5
    return out, (x, out)


def sigmoid_backward(dout, cache):
    x, out = cache
    dx = dout * out * (1 - out)
    return dx


def tanh_forward(x):
    out = np.tanh(x)
    return out, (x, out)


def tanh_backward(dout, cache):
    x, out = cache
    dx = dout * (1 - out * out)
    return dx


def leaky_relu_forward(x):
    out = np.where(x > 0, x, x * 0.1)
    return out, x


def leaky_relu_backward(dout, cache):
    dx = np.where(cache > 0, dout, dout * 0.1)
    return dx


def maxout_forward(x):
    out = x.max(axis=-1)
    return out, x


def maxout_backward(dout, cache):
    dx = np.zeros_like(cache)
    first = cache.argmax(axis=-1)[..., None]
    np.put_along_axis(dx, first, dout[..., None], axis=-1)
    return dx


def log_softmax(x):
    shifted = x - x.max(axis=1, keepdims=True)
    out = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return out


def softmax_loss(x, y):
    N, rows = len(x), np.arange(len(x))
    shifted = x - x.max(axis=1, keepdims=True)
    sums = np.exp(shifted).sum(axis=1, keepdims=True)
    log_probs = shifted - np.log(sums)
    loss = -log_probs[rows, y].sum() / N
    dx = np.exp(log_probs)
    dx[rows, y] -= 1
    dx /= N
    return loss, dx


def svm_loss(x, y):
    N, rows = len(x), np.arange(len(x))
    right = x[rows, y][:, None]
    margins = np.maximum(0, x - right + 1)
    margins[rows, y] = 0
    loss = margins.sum() / N
    dx = (margins > 0).astype(x.dtype)
    dx[rows, y] -= dx.sum(axis=1)
    dx /= N
    return loss, dx


def l2_loss(pred, target):
    N = len(pred)
    off = pred - target
    loss = (off * off).sum() / N
    dpred = 2 * off / N
    return loss, dpred


def numerical_gradient(f, x, h=1e-5):
    grad = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + h
        above = f(x)
        x[i] = kept - h
        below = f(x)
        x[i] = kept
        grad[i] = (above - below) / (2 * h)
    return grad


class Value:
    def __init__(self, data, parents=()):
        self.data = float(data)
        self.grad = 0.0
        self.parents = parents

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def __pow__(self, n):
        return Value(self.data**n, ((self, n * self.data ** (n - 1)),))

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -1 * other

    def __truediv__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return self * other**-1

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __rsub__(self, other):
        return other + -1 * self

    def __rtruediv__(self, other):
        return other * self**-1

    def exp(self):
        out = float(np.exp(self.data))
        return Value(out, ((self, out),))

    def tanh(self):
        out = float(np.tanh(self.data))
        return Value(out, ((self, 1 - out * out),))

    def relu(self):
        return Value(max(self.data, 0.0), ((self, 1.0 * (self.data > 0)),))

    def backward(self):
        order, seen = [], set()

        def visit(node):
            if node not in seen:
                seen.add(node)
                for parent, _ in node.parents:
                    visit(parent)
                order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            for parent, slope in node.parents:
                parent.grad += slope * node.grad


class TwoLayerNet:
    def __init__(self, input_dim, hidden_dim, num_classes, weight_scale=1e-3, reg=0.0):
        self.reg = reg
        rng = np.random.default_rng()
        W1 = rng.normal(0.0, weight_scale, (input_dim, hidden_dim))
        W2 = rng.normal(0.0, weight_scale, (hidden_dim, num_classes))
        b1, b2 = np.zeros(hidden_dim), np.zeros(num_classes)
        self.params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}

    def loss(self, X, y=None):
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        hidden, cache1 = affine_forward(X, W1, b1)
        active, cache2 = relu_forward(hidden)
        scores, cache3 = affine_forward(active, W2, b2)
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        loss += 0.5 * self.reg * ((W1**2).sum() + (W2**2).sum())
        dactive, dW2, db2 = affine_backward(dscores, cache3)
        dhidden = relu_backward(dactive, cache2)
        _, dW1, db1 = affine_backward(dhidden, cache1)
        dW1 += self.reg * W1
        dW2 += self.reg * W2
        return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


class MarioNet:
    def __init__(self, hidden_dim, seed):
        rng = np.random.default_rng(seed)
        H = hidden_dim
        self.params = {
            "W1": rng.normal(size=(3, H)),
            "b1": np.zeros(H),
            "W2": rng.normal(size=(H, H)),
            "b2": np.zeros(H),
            "W3": rng.normal(size=(H, 1)),
            "b3": np.zeros(1),
        }

    def loss(self, X, y=None):
        p = self.params
        h1, c1 = affine_forward(X, p["W1"], p["b1"])
        a1, c2 = sigmoid_forward(h1)
        h2, c3 = affine_forward(a1, p["W2"], p["b2"])
        a2, c4 = sigmoid_forward(h2)
        pred, c5 = affine_forward(a2, p["W3"], p["b3"])
        if y is None:
            return pred
        loss, dpred = l2_loss(pred, y)
        da2, dW3, db3 = affine_backward(dpred, c5)
        da1, dW2, db2 = affine_backward(sigmoid_backward(da2, c4), c3)
        _, dW1, db1 = affine_backward(sigmoid_backward(da1, c2), c1)
        return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}


def gradient_descent(net, X, y, learning_rate, num_steps):
    losses = []
    for _ in range(num_steps):
        loss, grads = net.loss(X, y)
        for name, grad in grads.items():
            net.params[name] = net.params[name] - learning_rate * grad
        losses.append(loss)
    return losses


def classify_digits(X_train, y_train, X_new, seed):
    rng = np.random.default_rng(seed)
    center = X_train.mean(axis=0)
    net = TwoLayerNet(64, 64, 10)
    for name in ("W1", "W2"):
        net.params[name] = rng.normal(0.0, 0.2, net.params[name].shape)
    net.params = {name: p.astype(np.float32) for name, p in net.params.items()}
    X = 2.0 * (X_train - center)
    gradient_descent(net, X, y_train, learning_rate=2.0, num_steps=60)
    return net.loss(2.0 * (X_new - center)).argmax(axis=1)
