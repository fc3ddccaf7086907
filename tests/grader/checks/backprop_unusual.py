"""Topic 01: right answers that look unlike the ones in the solution."""

# ruff: noqa: NPY002 (students use NumPy's old generators, too)

import math
from collections import namedtuple
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.special

from grader.checks.backprop import answers as right

UNUSUAL: dict[str, dict[str, tuple]] = {}


def unusual(exercise, *before):
    """Register a function, or a pair of functions, as an answer to an exercise."""

    def register(answer):
        answers = answer() if answer.__name__.startswith("pair_") else (*before, answer)
        UNUSUAL.setdefault(exercise, {})[answer.__name__] = answers
        return answer

    return register


# --- affine ---


@unusual("affine_forward")
def with_loops(x, w, b):
    out = np.zeros((len(x), len(b)), dtype=x.dtype)
    for n in range(len(x)):
        flat = x[n].flatten()
        for m in range(len(b)):
            total = b[m]
            for d in range(len(flat)):
                total = total + flat[d] * w[d, m]
            out[n, m] = total
    return out, None


@unusual("affine_forward")
def with_einsum(x, w, b):
    shaped = w.reshape(*x.shape[1:], -1)
    axes = "nijkl"[: x.ndim]
    out = np.einsum(f"{axes},{axes[1:]}m->nm", x, shaped) + b
    return out, {"x": x, "w": w, "b": b}


@unusual("affine_forward")
def with_a_column_of_ones(x, w, b):
    rows = x.reshape(len(x), -1)
    rows = np.hstack([rows, np.ones((len(x), 1), x.dtype)])
    return rows @ np.vstack([w, b[None]]), lambda: (x, w)


@unusual("affine_forward")
def as_a_list(x, w, b):
    return [np.tensordot(x.reshape(len(x), -1), w, axes=1) + b, (x, w, b)]


@unusual("affine_backward")
def pair_copies_and_loops():
    Cache = namedtuple("Cache", "rows shape w")

    def forward(x, w, b):
        rows = np.array(x).reshape(len(x), -1)
        return rows @ w + b, Cache(rows, x.shape, w.copy())

    def backward(dout, cache):
        dw = sum(np.outer(row, d) for row, d in zip(cache.rows, dout, strict=True))
        db = np.zeros_like(dout[0])
        for d in dout:
            db = db + d
        return np.dot(dout, cache.w.T).reshape(cache.shape), dw, db

    return forward, backward


@unusual("affine_backward")
def pair_closure():
    def forward(x, w, b):
        def back(dout):
            rows = x.reshape(x.shape[0], -1)
            dw = np.einsum("nd,nm->dm", rows, dout)
            return np.einsum("nm,dm->nd", dout, w).reshape(x.shape), dw, dout.sum(0)

        return x.reshape(x.shape[0], -1) @ w + b, back

    return forward, lambda dout, cache: cache(dout)


@unusual("affine_backward")
def pair_dataclass_and_ones():
    @dataclass
    class Kept:
        x: np.ndarray
        w: np.ndarray

    def forward(x, w, b):
        return right.affine_forward(x, w, b)[0], Kept(x, w)

    def backward(dout, cache):
        ones = np.ones(len(dout), dout.dtype)
        dx = np.empty_like(cache.x)
        dx[...] = (cache.w @ dout.T).T.reshape(dx.shape)
        return [dx, cache.x.reshape(len(dout), -1).T.dot(dout), ones @ dout]

    return forward, backward


# --- activations ---


@unusual("relu_forward")
def half_of_sum(x):
    return ((x + abs(x)) / 2).astype(x.dtype), None


@unusual("relu_forward")
def times_mask(x):
    return x * (x > 0), [x.tolist()]


@unusual("relu_forward")
def on_a_copy(x):
    out = x.copy()
    out[out < 0] = 0
    return out, out


@unusual("relu_forward")
def entry_by_entry(x):
    out = np.array([max(float(v), 0.0) for v in x.flat], dtype=x.dtype)
    return out.reshape(x.shape), "nothing"


@unusual("relu_backward")
def pair_out_in_cache():
    return lambda x: (
        np.clip(x, 0, None),
        np.clip(x, 0, None),
    ), lambda dout, cache: np.where(cache > 0, dout, 0).astype(dout.dtype)


@unusual("relu_backward")
def pair_boolean_mask():
    def backward(dout, mask):
        dx = dout.copy()
        dx[~mask] = 0
        return dx

    return lambda x: (np.maximum(x, 0), x >= 0), backward


@unusual("relu_backward")
def pair_heaviside():
    return right.relu_forward, lambda dout, x: dout * np.heaviside(x, 0.5)


@unusual("sigmoid_stability")
def pair_expit():
    def backward(dout, out):
        return dout * (out - out**2)

    def forward(x):
        return scipy.special.expit(x), scipy.special.expit(x)

    return forward, backward


@unusual("sigmoid_forward")
def expit(x):
    return scipy.special.expit(x), None


@unusual("sigmoid_forward")
def in_halves(x):
    out = np.empty_like(x)
    low = x < 0
    out[low] = np.exp(x[low]) / (1 + np.exp(x[low]))
    out[~low] = 1 / (1 + np.exp(-x[~low]))
    return out, out


@unusual("sigmoid_forward")
def by_log(x):
    return np.exp(-np.logaddexp(0, -x)).astype(x.dtype), 0


@unusual("sigmoid_forward")
def as_written(x):
    # overflow at 1000 costs the cell of stability, not this one
    return 1 / (1 + np.exp(-x)), x


@unusual("sigmoid_backward")
def pair_even_in_x():
    def backward(dout, x):
        small = np.exp(-abs(x))
        return dout * small / (1 + small) ** 2

    return right.sigmoid_forward, lambda dout, cache: backward(dout, cache[0])


@unusual("sigmoid_backward")
def pair_of_quarters():
    def backward(dout, cache):
        return dout * (0.25 - (cache[1] - 0.5) ** 2).astype(dout.dtype)

    return right.sigmoid_forward, backward


@unusual("sigmoid_backward")
def pair_two_sigmoids():
    expit = scipy.special.expit
    return lambda x: (expit(x), x), lambda dout, x: dout * expit(x) * expit(-x)


@unusual("sigmoid_stability")
def pair_clipped_wide():
    def forward(x):
        bound = 80 if x.dtype == np.float32 else 500
        out = 1 / (1 + np.exp(-np.clip(x, -bound, bound)))
        return out, out

    return forward, lambda dout, out: dout * out * (1 - out)


@unusual("sigmoid_stability")
def pair_halves():
    return in_halves, lambda dout, out: out * (1 - out) * dout


@unusual("sigmoid_stability")
def pair_silenced():
    def forward(x):
        with np.errstate(all="ignore"):
            out = 1 / (1 + np.exp(-x))
        return out, out

    return forward, lambda dout, out: dout * (out - out * out)


@unusual("tanh_forward")
def by_sigmoid(x):
    return 2 * scipy.special.expit(2 * x) - 1, None


@unusual("tanh_forward")
def by_falling_powers(x):
    small = np.exp(-2 * abs(x))
    return np.sign(x) * (1 - small) / (1 + small), None


@unusual("tanh_forward")
def by_math(x):
    return np.vectorize(math.tanh, otypes=[x.dtype])(x), {}


@unusual("tanh_backward")
def pair_product():
    return right.tanh_forward, lambda dout, c: (dout - dout * c[1]) * (1 + c[1])


@unusual("tanh_backward")
def pair_secant():
    def backward(dout, x):
        small = np.exp(-2 * abs(x))
        return dout * 4 * small / (1 + small) ** 2

    return lambda x: (np.tanh(x), x), backward


@unusual("tanh_backward")
def pair_tanh_again():
    return lambda x: (np.tanh(x), x), lambda dout, x: dout * (1 - np.tanh(x) ** 2)


@unusual("leaky_relu_forward")
def larger_of_two(x):
    return np.maximum(x, 0.1 * x), None


@unusual("leaky_relu_forward")
def leaky_on_a_copy(x):
    out = np.array(x)
    out[x < 0] /= 10
    return out, x < 0


@unusual("leaky_relu_forward")
def sum_of_sides(x):
    return np.clip(x, 0, None) + np.clip(x, None, 0) * x.dtype.type(0.1), x


@unusual("leaky_relu_backward")
def pair_slopes():
    def backward(dout, slopes):
        return dout * slopes

    def forward(x):
        slopes = np.where(x > 0, 1, 0.1).astype(x.dtype)
        return x * slopes, slopes

    return forward, backward


@unusual("leaky_relu_backward")
def pair_tenths():
    def backward(dout, cache):
        dx = dout.copy()
        dx[cache < 0] *= 0.1
        return dx

    return right.leaky_relu_forward, backward


@unusual("leaky_relu_backward")
def pair_select():
    return right.leaky_relu_forward, lambda dout, x: np.select(
        [x > 0, x <= 0], [dout, dout / 10]
    )


@unusual("maxout_forward")
def maxout_reduce(x):
    return np.maximum.reduce(x, axis=-1), None


@unusual("maxout_forward")
def maxout_sorted(x):
    return np.sort(x)[..., -1], None


@unusual("maxout_forward")
def maxout_loop(x):
    out = x[..., 0].copy()
    for k in range(1, x.shape[-1]):
        out = np.where(x[..., k] > out, x[..., k], out)
    return out, None


@unusual("maxout_backward")
def pair_shared():
    def backward(dout, x):
        won = (x == x.max(-1, keepdims=True)).astype(x.dtype)
        return won * (dout / won.sum(-1))[..., None]

    return right.maxout_forward, backward


@unusual("maxout_backward")
def pair_last_winner():
    def backward(dout, cache):
        winner, K = cache
        return dout[..., None] * (winner[..., None] == np.arange(K))

    def forward(x):
        K = x.shape[-1]
        return x.max(-1), (K - 1 - np.argmax(x[..., ::-1], axis=-1), K)

    return forward, backward


@unusual("maxout_backward")
def pair_one_by_one():
    def backward(dout, cache):
        dx = np.zeros(cache.shape, dout.dtype)
        for place in product(*map(range, dout.shape)):
            dx[place][cache[place].argmax()] = dout[place]
        return dx

    return right.maxout_forward, backward


# --- losses ---


@unusual("l2_loss")
def l2_by_norms(pred, target):
    N = pred.shape[0]
    norms = np.linalg.norm(pred - target, axis=1)
    return np.mean(norms**2), (pred - target) * (2 / N)


@unusual("l2_loss")
def l2_by_loops(pred, target):
    loss, dpred = 0.0, np.zeros_like(pred)
    for n, d in np.ndindex(pred.shape):
        off = float(pred[n, d]) - float(target[n, d])
        loss += off**2 / len(pred)
        dpred[n, d] = 2 * off / len(pred)
    return loss, dpred


@unusual("l2_loss")
def l2_by_einsum(pred, target):
    off = np.subtract(pred, target)
    return np.asarray(np.einsum("nd,nd", off, off) / len(off)), off * 2 / len(off)


@unusual("svm_loss")
def svm_by_loops(x, y):
    loss, dx = 0.0, np.zeros_like(x)
    for n in range(len(x)):
        for c in range(x.shape[1]):
            gap = x[n, c] - x[n, y[n]] + 1
            if c != y[n] and gap > 0:
                loss += gap
                dx[n, c] += 1
                dx[n, y[n]] -= 1
    return loss / len(x), dx / len(x)


@unusual("svm_loss")
def svm_with_true_class_taken_off(x, y):
    N = len(x)
    right_scores = np.take_along_axis(x, y[:, None], axis=1)
    gaps = np.clip(x - right_scores + 1, 0, None)
    violated = (gaps > 0).astype(x.dtype)
    np.put_along_axis(violated, y[:, None], 0, axis=1)
    np.put_along_axis(violated, y[:, None], -violated.sum(1, keepdims=True), axis=1)
    return gaps.sum() / N - 1, violated / N


@unusual("svm_loss")
def svm_by_one_hot(x, y):
    hot = np.eye(x.shape[1], dtype=x.dtype)[y]
    gaps = np.maximum(x - (x * hot).sum(1, keepdims=True) + 1 - hot, 0)
    pushes = np.sign(gaps) * (1 - hot)
    dx = (pushes - hot * pushes.sum(1, keepdims=True)) / len(x)
    return float(np.sum(gaps * (1 - hot)) / len(x)), dx


@unusual("log_softmax")
def by_scipy(x):
    return scipy.special.log_softmax(x, axis=1)


@unusual("log_softmax")
def by_logaddexp(x):
    return x - np.logaddexp.reduce(x, axis=1)[:, None]


@unusual("log_softmax")
def row_by_row(x):
    rows = []
    for row in x:
        top = max(row)
        rows.append(row - top - np.log(sum(np.exp(v - top) for v in row)))
    return np.array(rows)


@unusual("softmax_loss")
@unusual("softmax_loss_stability")
def softmax_by_scipy(x, y):
    logp = scipy.special.log_softmax(x, axis=1)
    hot = np.eye(x.shape[1], dtype=x.dtype)[y]
    return -(hot * logp).sum(1).mean(), (scipy.special.softmax(x, axis=1) - hot) / len(
        x
    )


@unusual("softmax_loss")
@unusual("softmax_loss_stability")
def softmax_by_loops(x, y):
    loss, dx = 0.0, np.zeros_like(x)
    for n, row in enumerate(x):
        powers = np.exp(row - row.max())
        loss += np.log(powers.sum()) - (row[y[n]] - row.max())
        dx[n] = powers / powers.sum()
        dx[n, y[n]] -= 1
    return loss / len(x), dx / len(x)


@unusual("softmax_loss")
@unusual("softmax_loss_stability")
def softmax_in_float64_inside(x, y):
    wide = x.astype(np.float64)
    lse = np.logaddexp.reduce(wide, axis=1)
    dx = np.exp(wide - lse[:, None])
    np.add.at(dx, (np.arange(len(x)), y), -1)
    loss = float(np.mean(lse - wide[np.arange(len(x)), y]))
    return loss, (dx / len(x)).astype(x.dtype)


@unusual("softmax_loss")
def softmax_with_tiny_epsilon(x, y):
    # changes the loss by 1e-8, which everyday scores forgive
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    dx = p.copy()
    dx[np.arange(len(x)), y] -= 1
    return -np.log(p[np.arange(len(x)), y] + 1e-8).mean(), dx / len(x)


@unusual("softmax_loss")
def softmax_shifted_by_the_whole_maximum(x, y):
    p = np.exp(x - x.max())
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(x))
    loss = -np.log(p[rows, y]).mean()
    p[rows, y] -= 1
    return loss, p / len(x)


# --- judge and worksheet ---


@unusual("numerical_gradient")
def by_basis(f, x, h=1e-5):
    grad = np.empty_like(x, order="C")
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = h
        step = step.reshape(x.shape)
        grad.flat[i] = (float(f(x + step)) - float(f(x - step))) / 2 / h
    return grad


@unusual("numerical_gradient")
def by_nditer(f, x, h=1e-5):
    grad = np.zeros(x.shape)
    with np.nditer(x, flags=["multi_index"], op_flags=["readwrite"]) as it:
        for value in it:
            kept = float(value)
            x[it.multi_index] = kept + h
            above = f(x)
            x[it.multi_index] = kept - h
            grad[it.multi_index] = (above - f(x)) / (2 * h)
            x[it.multi_index] = kept
    return grad


@unusual("numerical_gradient")
def by_flat_copies(f, x, h=1e-5):
    def moved(i, by):
        flat = x.flatten()
        flat[i] += by
        return f(flat.reshape(x.shape))

    slopes = [(moved(i, h) - moved(i, -h)) * 0.5 / h for i in range(x.size)]
    return np.array(slopes).reshape(x.shape)


# --- values ---


class Closures:
    """Values whose operations leave functions behind."""

    def __init__(self, data):
        self.data, self.grad = data, 0
        self._back, self._from = (lambda: None), set()

    def _make(self, data, *pairs):
        out = Closures(data)
        out._from = {value for value, _ in pairs}

        def back():
            for value, slope in pairs:
                value.grad += slope * out.grad

        out._back = back
        return out

    @staticmethod
    def _wrap(other):
        return other if isinstance(other, Closures) else Closures(other)

    def __add__(self, other):
        other = self._wrap(other)
        return self._make(self.data + other.data, (self, 1), (other, 1))

    def __mul__(self, other):
        other = self._wrap(other)
        return self._make(
            self.data * other.data, (self, other.data), (other, self.data)
        )

    def __truediv__(self, other):
        other = self._wrap(other)
        quotient = self.data / other.data
        return self._make(
            quotient, (self, 1 / other.data), (other, -quotient / other.data)
        )

    def __sub__(self, other):
        other = self._wrap(other)
        return self._make(self.data - other.data, (self, 1), (other, -1))

    def __rsub__(self, other):
        return self._wrap(other) - self

    def __rtruediv__(self, other):
        return self._wrap(other) / self

    def __neg__(self):
        return self._make(-self.data, (self, -1))

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, n):
        return self._make(self.data**n, (self, n * self.data ** (n - 1)))

    def exp(self):
        return self._make(math.exp(self.data), (self, math.exp(self.data)))

    def tanh(self):
        return self._make(math.tanh(self.data), (self, 1 / math.cosh(self.data) ** 2))

    def relu(self):
        return self._make(self.data if self.data > 0 else 0, (self, self.data > 0))

    def backward(self):
        order, seen = [], set()

        def visit(value):
            if value not in seen:
                seen.add(value)
                for source in value._from:
                    visit(source)
                order.append(value)

        visit(self)
        self.grad = 1
        for value in order[::-1]:
            value._back()


class Tape:
    """Values that stand on one global tape, walked from its end."""

    tape: list = []

    def __init__(self, data, sources=()):
        self.data, self.grad, self.sources = np.float64(data), np.float64(0), sources
        Tape.tape.append(self)

    def _two(self, other, function, left, right):
        other = other if isinstance(other, Tape) else Tape(other)
        a, b = self.data, other.data
        return Tape(function(a, b), [(self, left(a, b)), (other, right(a, b))])

    def __add__(self, other):
        return self._two(other, np.add, lambda a, b: 1.0, lambda a, b: 1.0)

    def __mul__(self, other):
        return self._two(other, np.multiply, lambda a, b: b, lambda a, b: a)

    def __pow__(self, n):
        return Tape(self.data**n, [(self, n * self.data ** (n - 1))])

    def exp(self):
        return Tape(np.exp(self.data), [(self, np.exp(self.data))])

    def tanh(self):
        e = (self * 2).exp()
        return (e - 1) / (e + 1)

    def relu(self):
        return self * float(self.data > 0)

    def __neg__(self):
        return -1 * self

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        return self * (other**-1.0 if isinstance(other, Tape) else 1 / other)

    def __rtruediv__(self, other):
        return other * self**-1.0

    __radd__, __rmul__ = __add__, __mul__

    def backward(self):
        self.grad = np.float64(1)
        for value in reversed(Tape.tape[: Tape.tape.index(self) + 1]):
            for source, slope in value.sources:
                source.grad = source.grad + slope * value.grad


class CountedUsers:
    """Values that wait until all who use them have delivered."""

    def __init__(self, data, *sources):
        self.data, self.grad, self.sources = data, 0.0, sources

    def backward(self):
        users, stack, seen = {}, [self], {id(self)}
        while stack:
            for source, _ in stack.pop().sources:
                users[id(source)] = users.get(id(source), 0) + 1
                if id(source) not in seen:
                    seen.add(id(source))
                    stack.append(source)
        self.grad, ready = 1.0, [self]
        while ready:
            value = ready.pop()
            for source, slope in value.sources:
                source.grad += slope * value.grad
                users[id(source)] -= 1
                if not users[id(source)]:
                    ready.append(source)

    def __neg__(self):
        return CountedUsers(-self.data, (self, -1.0))

    def __pow__(self, n):
        return CountedUsers(self.data**n, (self, n * self.data ** (n - 1)))

    def exp(self):
        e = math.e**self.data
        return CountedUsers(e, (self, e))

    def tanh(self):
        t = math.tanh(self.data)
        return CountedUsers(t, (self, (1 - t) * (1 + t)))

    def relu(self):
        return CountedUsers(max(0, self.data), (self, int(self.data > 0)))


def _operator(name, function, left, right):
    def forth(self, other):
        if not isinstance(other, CountedUsers):
            other = CountedUsers(other)
        a, b = self.data, other.data
        return CountedUsers(function(a, b), (self, left(a, b)), (other, right(a, b)))

    setattr(CountedUsers, f"__{name}__", forth)
    setattr(CountedUsers, f"__r{name}__", lambda s, o: forth(CountedUsers(o), s))


_operator("add", lambda a, b: a + b, lambda a, b: 1, lambda a, b: 1)
_operator("sub", lambda a, b: a - b, lambda a, b: 1, lambda a, b: -1)
_operator("mul", lambda a, b: a * b, lambda a, b: b, lambda a, b: a)
_operator("truediv", lambda a, b: a / b, lambda a, b: 1 / b, lambda a, b: -a / b**2)

for _exercise in ("value_data", "value_grad", "value_numbers", "value_deep"):
    UNUSUAL[_exercise] = {c.__name__: (c,) for c in (Closures, Tape, CountedUsers)}

# --- nets and training ---


@unusual("two_layer_net")
class WithoutLayers:
    def __init__(self, input_dim, hidden_dim, num_classes, weight_scale=1e-3, reg=0.0):
        self.params, self.reg = {}, reg
        self.params["b2"] = np.zeros((num_classes,))
        self.params["b1"] = np.zeros((hidden_dim,))
        self.params["W1"] = np.random.randn(input_dim, hidden_dim) * weight_scale
        self.params["W2"] = np.random.randn(hidden_dim, num_classes) * weight_scale

    def loss(self, X, y=None):
        p = self.params
        X = X.reshape(len(X), -1)
        H = np.maximum(X @ p["W1"] + p["b1"], 0)
        S = H @ p["W2"] + p["b2"]
        if y is None:
            return S
        logp = scipy.special.log_softmax(S, axis=1)
        loss = -logp[range(len(X)), y].mean()
        loss += self.reg / 2 * sum((p[W] ** 2).sum() for W in ("W1", "W2"))
        dS = (np.exp(logp) - np.eye(S.shape[1])[y]) / len(X)
        dH = dS @ p["W2"].T * (H > 0)
        grads = {"b2": dS.sum(0), "b1": dH.sum(0)}
        grads["W2"] = H.T @ dS + self.reg * p["W2"]
        grads["W1"] = X.T @ dH + self.reg * p["W1"]
        return loss, grads


@unusual("two_layer_net")
class WithTorch:
    def __init__(self, input_dim, hidden_dim, num_classes, weight_scale=1e-3, reg=0.0):
        rng, self.reg = np.random.default_rng(7), reg
        sizes = [(input_dim, hidden_dim), (hidden_dim, num_classes)]
        self.params = {}
        for i, size in enumerate(sizes, 1):
            self.params[f"W{i}"] = rng.standard_normal(size) * weight_scale
            self.params[f"b{i}"] = np.zeros(size[1])

    def loss(self, X, y=None):
        import torch

        p = {n: torch.tensor(v, requires_grad=True) for n, v in self.params.items()}
        hidden = (torch.tensor(X).flatten(1) @ p["W1"] + p["b1"]).relu()
        scores = hidden @ p["W2"] + p["b2"]
        if y is None:
            return scores.detach().numpy()
        loss = torch.nn.functional.cross_entropy(scores, torch.tensor(y))
        loss = loss + self.reg / 2 * (p["W1"].norm() ** 2 + p["W2"].norm() ** 2)
        loss.backward()
        return loss.item(), {name: value.grad.numpy() for name, value in p.items()}


@unusual("two_layer_net")
class WithNumericalGradients(WithoutLayers):
    def loss(self, X, y=None):
        if y is None:
            return super().loss(X)
        grads, kept = {}, dict(self.params)
        for name, value in kept.items():

            def loss_at(moved, name=name):
                self.params[name] = moved
                return WithoutLayers.loss(self, X, y)[0]

            if value.size > 1000:
                grads[name] = np.zeros_like(value)
                continue
            # two central differences, so the error falls as h to the 4th
            one, two = (by_basis(loss_at, value, h) for h in (1e-3, 2e-3))
            grads[name] = (4 * one - two) / 3
            self.params[name] = value
        return super().loss(X, y)[0], grads


@unusual("mario_net")
class MarioByLoop:
    def __init__(self, hidden_dim, seed):
        np.random.seed(seed)
        sizes = [3, hidden_dim, hidden_dim, 1]
        self.params = {f"b{i}": np.zeros(sizes[i]) for i in (1, 2, 3)}
        for i in (3, 2, 1):
            self.params[f"W{i}"] = np.random.uniform(-1, 1, (sizes[i - 1], sizes[i]))

    def loss(self, X, y=None):
        outs = [X]
        for i in (1, 2, 3):
            q = outs[-1] @ self.params[f"W{i}"] + self.params[f"b{i}"]
            outs.append(scipy.special.expit(q) if i < 3 else q)
        if y is None:
            return outs[-1]
        off, grads = outs[-1] - y, {}
        back = 2 * off / len(X)
        for i in (3, 2, 1):
            grads[f"W{i}"], grads[f"b{i}"] = outs[i - 1].T @ back, back.sum(0)
            back = back @ self.params[f"W{i}"].T * outs[i - 1] * (1 - outs[i - 1])
        return (off**2).sum() / len(X), grads


@unusual("mario_net")
class MarioOfTorch:
    def __init__(self, hidden_dim, seed):
        import torch

        generator = torch.Generator().manual_seed(seed)
        shapes = [(3, hidden_dim), (hidden_dim, hidden_dim), (hidden_dim, 1)]
        self.params = {}
        for i, shape in enumerate(shapes, 1):
            W = torch.randn(shape, generator=generator, dtype=torch.float64)
            self.params |= {f"W{i}": W.numpy(), f"b{i}": np.zeros(shape[1])}

    def loss(self, X, y=None):
        import torch

        p = {n: torch.tensor(v, requires_grad=True) for n, v in self.params.items()}
        hidden = torch.sigmoid(torch.tensor(X) @ p["W1"] + p["b1"])
        pred = torch.sigmoid(hidden @ p["W2"] + p["b2"]) @ p["W3"] + p["b3"]
        if y is None:
            return pred.detach().numpy()
        loss = (pred - torch.tensor(y)).square().sum(1).mean()
        grads = torch.autograd.grad(loss, p.values())
        return loss.item(), {n: g.numpy() for n, g in zip(p, grads, strict=True)}


@unusual("mario_net")
class MarioWithOwnRandomness(MarioByLoop):
    def __init__(self, hidden_dim, seed):
        super().__init__(hidden_dim, seed)
        rng = np.random.RandomState(seed)
        for name, value in self.params.items():
            if name[0] == "W":
                self.params[name] = rng.randn(*value.shape) * 0.5


@unusual("gradient_descent")
def in_place_updates(net, X, y, learning_rate, num_steps):
    losses = []
    while len(losses) < num_steps:
        loss, grads = net.loss(X, y)
        losses += [loss]
        for name, value in net.params.items():
            value -= learning_rate * grads[name]
    return losses


@unusual("gradient_descent")
def by_recursion(net, X, y, learning_rate, num_steps):
    if num_steps == 0:
        return []
    loss, grads = net.loss(X, y)
    net.params = {k: v - learning_rate * grads[k] for k, v in net.params.items()}
    return [loss, *by_recursion(net, X, y, learning_rate, num_steps - 1)]


@unusual("gradient_descent")
def as_an_array(net, X, y, learning_rate, num_steps):
    losses = np.zeros(num_steps)
    for step in range(num_steps):
        losses[step], grads = net.loss(X, y)
        net.params.update(
            {name: net.params[name] + -learning_rate * g for name, g in grads.items()}
        )
    return losses
