"""Topic 01: answers that nobody had in mind when the checks were written."""

import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field

import numpy as np
import torch

from grader.checks.backprop import answers as right
from grader.mistakes import table

# (exercise, name): functions
WRONG: dict[tuple[str, str], tuple] = {}
RIGHT: dict[tuple[str, str], tuple] = {}


def _global_cache():
    kept = {}

    def forward(x, w, b):
        out, kept["cache"] = right.affine_forward(x, w, b)
        return out, None

    return forward, lambda dout, cache: right.affine_backward(dout, kept["cache"])


WRONG["affine_backward", "cache kept in a global"] = _global_cache()


def _used_up():
    return lambda x: (
        right.relu_forward(x)[0],
        [x],
    ), lambda dout, cache: dout * (cache.pop() > 0)


WRONG["relu_backward", "cache used up"] = _used_up()


def first_violation(x, y):
    loss, dx = 0.0, np.zeros_like(x)
    for n in range(len(x)):
        for c in range(x.shape[1]):
            gap = x[n, c] - x[n, y[n]] + 1
            if c != y[n] and gap > 0:
                loss += gap / len(x)
                dx[n, c] += 1 / len(x)
                dx[n, y[n]] -= 1 / len(x)
                break
    return loss, dx


WRONG["svm_loss", "stops at the first violation"] = (first_violation,)


def without_keepdims(x):
    shifted = (x.T - x.max(axis=1)).T
    return shifted - np.log(np.exp(shifted).sum(axis=1))


WRONG["log_softmax", "keepdims forgotten"] = (without_keepdims,)


class Accumulates(right.TwoLayerNet):
    """Adds gradients of all calls, as PyTorch does without zero_grad."""

    def loss(self, X, y=None):
        result = super().loss(X, y)
        if y is None:
            return result
        loss, grads = result
        kept = getattr(self, "kept", dict.fromkeys(grads, 0))
        self.kept = {n: kept[n] + grads[n] for n in grads}
        return loss, self.kept


WRONG["two_layer_net", "accumulates gradients over calls"] = (Accumulates,)


class FirstWeights(right.MarioNet):
    """Prepares its weights in the first call, and never again."""

    def loss(self, X, y=None):
        if not hasattr(self, "prepared"):
            self.prepared = {n: v.copy() for n, v in self.params.items()}
        shown, self.params = self.params, self.prepared
        try:
            return super().loss(X, y)
        finally:
            self.params = shown


WRONG["mario_net", "keeps the weights of the first call"] = (FirstWeights,)


@dataclass
class ByValue:
    """Takes nodes with equal data for one: dataclasses compare by value."""

    data: float
    grad: float = 0.0
    parents: list = field(default_factory=list, compare=False)

    def _two(self, other, data, mine, others):
        return ByValue(data, 0.0, [(self, mine), (other, others)])

    def __add__(self, other):
        other = other if isinstance(other, ByValue) else ByValue(other)
        return self._two(other, self.data + other.data, 1.0, 1.0)

    def __mul__(self, other):
        other = other if isinstance(other, ByValue) else ByValue(other)
        return self._two(other, self.data * other.data, other.data, self.data)

    def __pow__(self, n):
        return ByValue(self.data**n, 0.0, [(self, n * self.data ** (n - 1))])

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -1.0 * other

    def __truediv__(self, other):
        other = other if isinstance(other, ByValue) else ByValue(other)
        return self * other**-1.0

    def __rsub__(self, other):
        return -self + other

    def __rtruediv__(self, other):
        return self**-1.0 * other

    __radd__, __rmul__ = __add__, __mul__

    def exp(self):
        return ByValue(math.exp(self.data), 0.0, [(self, math.exp(self.data))])

    def tanh(self):
        out = math.tanh(self.data)
        return ByValue(out, 0.0, [(self, 1 - out**2)])

    def relu(self):
        return ByValue(max(self.data, 0.0), 0.0, [(self, float(self.data > 0))])

    def backward(self):
        order = []

        def visit(node):
            if node not in order:
                for parent, _ in node.parents:
                    visit(parent)
                order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            for parent, slope in node.parents:
                parent.grad += slope * node.grad


WRONG["value_grad", "nodes with equal data are one"] = (ByValue,)


def shares_with_near_ties(dout, x):
    won = np.isclose(x, x.max(axis=-1, keepdims=True), rtol=1e-3)
    share = won / won.sum(axis=-1, keepdims=True)
    return (dout[..., None] * share).astype(dout.dtype)


WRONG["maxout_backward", "near ties taken for ties"] = (
    right.maxout_forward,
    shares_with_near_ties,
)


def on_minibatches(net, X, y, learning_rate, num_steps):
    losses, rng = [], np.random.default_rng(0)
    for _ in range(num_steps):
        batch = rng.permutation(len(X))[: max(1, len(X) // 2)]
        loss, grads = net.loss(X[batch], y[batch])
        losses.append(loss)
        for name in net.params:
            net.params[name] = net.params[name] - learning_rate * grads[name]
    return losses


WRONG["gradient_descent", "minibatches"] = (on_minibatches,)


def half_precision(x):
    return np.tanh(x.astype(np.float16)).astype(x.dtype), x


WRONG["tanh_forward", "half precision inside"] = (half_precision,)


def relative_step(f, x, h=1e-5):
    grad = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        step = h * max(1e-3, abs(x[i]))
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        grad[i] = (f(up) - f(down)) / (2 * step)
    return grad


WRONG["numerical_gradient", "step relative to x"] = (relative_step,)


def smoothed(x, y):
    loss, dx = right.softmax_loss(x, y)
    C = x.shape[1]
    uniform = -right.log_softmax(x).mean()
    return 0.9 * loss + 0.1 * uniform, dx + 0.1 * (np.eye(C)[y] - 1 / C).astype(
        x.dtype
    ) / len(x)


WRONG["softmax_loss", "labels smoothed"] = (smoothed,)


# --- right ---

Result = namedtuple("Result", "out cache")


def named_result(x, w, b):
    return Result(x.reshape(len(x), -1) @ w + b, (x, w))


RIGHT["affine_forward", "a named tuple"] = (named_result,)


class Layer:
    """A callable object, whose cache is a weird object, too."""

    __slots__ = ()

    class Cache:
        __slots__ = ("x", "w")

        def __deepcopy__(self, memo):
            raise TypeError("cannot be copied")

        def __eq__(self, other):
            raise TypeError("cannot be compared")

        __hash__ = None

    def __call__(self, x, w, b):
        cache = self.Cache()
        cache.x, cache.w = x, w
        return np.asfortranarray(x.reshape(len(x), -1) @ w + b), cache


def back(dout, cache):
    return right.affine_backward(dout, (cache.x, cache.w))


RIGHT["affine_backward", "a cache that can't be copied or compared"] = (Layer(), back)


def read_only(x):
    out = np.maximum(x, 0)
    out.setflags(write=False)
    return out, (v for v in [x])


RIGHT["relu_forward", "a read-only result, a generator as cache"] = (read_only,)


def by_torch(x, y):
    scores = torch.tensor(x, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor(y))
    loss.backward()
    return loss.detach(), scores.grad.numpy()


RIGHT["softmax_loss", "PyTorch inside, a tensor for a loss"] = (by_torch,)
RIGHT["softmax_loss_stability", "PyTorch inside"] = (by_torch,)


class OfTorch:
    """A PyTorch scalar under another name."""

    def __init__(self, data):
        whole = isinstance(data, torch.Tensor)
        self.tensor = data if whole else torch.tensor(float(data), dtype=torch.float64)
        if not whole:
            self.tensor.requires_grad_()
        self.tensor.retain_grad()

    data = property(lambda self: self.tensor.item())

    @property
    def grad(self):
        return 0.0 if self.tensor.grad is None else self.tensor.grad.item()

    def backward(self):
        self.tensor.backward()


for _name in ("add", "sub", "mul", "truediv", "pow"):
    for _side in ("", "r"):
        method = f"__{_side}{_name}__"

        def _operate(self, other, method=method):
            other = other.tensor if isinstance(other, OfTorch) else other
            return OfTorch(getattr(self.tensor, method)(other))

        setattr(OfTorch, method, _operate)
for _name in ("exp", "tanh", "relu", "__neg__"):
    setattr(
        OfTorch,
        _name,
        lambda self, _name=_name: OfTorch(getattr(self.tensor, _name)()),
    )

for _exercise in ("value_data", "value_grad", "value_numbers", "value_deep"):
    RIGHT[_exercise, "PyTorch inside"] = (OfTorch,)


class Ordered(right.TwoLayerNet):
    """Keeps parameters and gradients in other kinds of dict."""

    def __init__(self, *sizes, **arguments):
        super().__init__(*sizes, **arguments)
        self.params = OrderedDict(self.params)

    def loss(self, X, y=None):
        result = super().loss(X, y)
        return result if y is None else (result[0], OrderedDict(result[1]))


RIGHT["two_layer_net", "ordered dicts"] = (Ordered,)


def any_winner(dout, x):
    rng = np.random.default_rng()
    dx = np.zeros(x.shape, dout.dtype)
    for place in np.ndindex(dout.shape):
        winners = np.flatnonzero(x[place] == x[place].max())
        dx[place][rng.choice(winners)] = dout[place]
    return dx


RIGHT["maxout_backward", "a winner drawn at random"] = (
    right.maxout_forward,
    any_winner,
)


def five_entries_at_once(f, x, h=1e-5):
    def slope(index):
        kept, slope = x[index].copy(), 0.0
        for side in (1, -1):
            x[index] = kept + side * h
            slope += side * f(x) / (2 * h)
        x[index] = kept
        return slope

    indices = np.stack(np.unravel_index(np.arange(x.size), x.shape), axis=1)
    return np.array([slope(tuple(i)) for i in indices]).reshape(x.shape)


RIGHT["numerical_gradient", "each side divided by itself"] = (five_entries_at_once,)


def on_shuffled_data(net, X, y, learning_rate, num_steps):
    losses = []
    for _ in range(num_steps):
        order = np.random.default_rng().permutation(len(X))
        loss, grads = net.loss(X[order], y[order])
        losses.append(np.float64(loss))
        for name, grad in sorted(grads.items()):
            net.params[name] = net.params[name] - np.multiply(learning_rate, grad)
    return tuple(losses)


RIGHT["gradient_descent", "all data, in another order each time"] = (on_shuffled_data,)


def shifted_far(x):
    # any shift will do that is near the maximum of its row
    top = np.ceil(x.max(axis=1, keepdims=True))
    return x - (top + np.log(np.exp(x - top).sum(axis=1, keepdims=True)))


RIGHT["log_softmax", "shifted by a number near the maximum"] = (shifted_far,)


def in_matrices(pred, target):
    off = np.asmatrix(pred) - np.asmatrix(target)
    return np.trace(off @ off.T) / len(pred), np.multiply(off, 2 / len(pred))


RIGHT["l2_loss", "NumPy's old matrices"] = (in_matrices,)


class ParametersOfAll(right.TwoLayerNet):
    """All networks of the class share one dict of parameters."""

    shared: dict = {}

    def __init__(self, *sizes, **settings):
        super().__init__(*sizes, **settings)
        self.shared.update(self.params)
        self.params = self.shared


WRONG["two_layer_net", "all networks share their parameters"] = (ParametersOfAll,)


class StartsTwiceTheSame(right.TwoLayerNet):
    """Of thousands of weights drawn in float32, two are the same by chance."""

    def __init__(self, *sizes, **settings):
        super().__init__(*sizes, **settings)
        for value in self.params.values():
            if value.size > 1000:
                value.flat[1] = value.flat[0]


RIGHT["two_layer_net", "two of thousands of weights agree"] = (StartsTwiceTheSame,)


for _mistake in table(
    right.Value,
    (
        "gradients of leaves alone",
        "what is computed on the way has no gradient in the end",
        (
            "                parent.grad += slope * node.grad\n",
            "                parent.grad += slope * node.grad\n"
            "            if node.parents:\n"
            "                node.grad = 0.0\n",
        ),
    ),
    (
        "slope of a power by division",
        "there is none at 0",
        ("n * self.data ** (n - 1)", "n * self.data**n / (self.data or np.nan)"),
    ),
):
    WRONG["value_grad", _mistake.name] = _mistake.functions
