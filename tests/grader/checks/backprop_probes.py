"""What functions of topic 01 do on broad random inputs, to tell mutants from twins.

Independent of the hidden checks: other inputs, other code, and no verdict.
"""

import copy
import warnings

import numpy as np

FLOATS = (np.float64, np.float32)
SHAPES = [(7,), (1, 3), (6, 4), (5, 5), (1, 2, 3), (3, 4, 5), (2, 3, 2, 4)]


def watched(function, *arguments):
    """Return result or error, warnings, and the arguments afterwards."""
    before = copy.deepcopy(arguments)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(*arguments)
        # mutants raise anything, and a time limit is a kind of behaviour, too
        except Exception as error:
            result = type(error).__name__
    changed = [not same(a, b) for a, b in zip(arguments, before, strict=True)]
    return [result, len(caught) > 0, changed]


def same(a, b):
    """Tell whether two results are equal, but for rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, str | bool | None) or isinstance(b, str | bool | None):
        return type(a) is type(b) and a == b
    numbers = (int, float, np.ndarray, np.generic)
    if not (isinstance(a, numbers) and isinstance(b, numbers)):
        return type(a).__name__ == type(b).__name__
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind not in "fc":
        return bool((a == b).all())
    eps = 1e-9 if a.dtype == np.float64 else 1e-4
    with np.errstate(all="ignore"):
        scale = np.abs(b[np.isfinite(b)]).max(initial=1e-6)
        return bool(np.isclose(a, b, rtol=eps, atol=eps * scale, equal_nan=True).all())


def both_ways(forward, backward, rng, inputs, dout):
    """Forward, and backward twice, with another forward between."""

    def run(*arrays):
        out, cache = forward(*arrays)
        out = copy.deepcopy(out)
        forward(*(a[::-1] + 1 for a in arrays))
        upstream = dout(out).astype(arrays[0].dtype)
        first = watched(backward, upstream, cache)[:1]
        with np.errstate(all="ignore"):
            warned = watched(lambda d: backward(d, cache), upstream)
        return out, copy.deepcopy(first), warned

    return [watched(run, *arrays) for arrays in inputs(rng)]


def affine_inputs(rng):
    for dtype in FLOATS:
        for shape in [(4, 3), (3, 3), (1, 5), (4, 2, 3), (2, 2, 3, 2), (6, 1)]:
            D, M = int(np.prod(shape[1:])), int(rng.integers(1, 6))
            arrays = rng.normal(size=shape), rng.normal(size=(D, M)), rng.normal(size=M)
            yield [a.astype(dtype) for a in arrays]


def activation_inputs(rng):
    for dtype in FLOATS:
        for shape in SHAPES:
            for size in (1, 30, 1000):
                yield [rng.uniform(-size, size, size=shape).astype(dtype)]


def maxout_inputs(rng):
    for (x,) in activation_inputs(rng):
        if x.ndim > 1:
            yield [x]


def maxout_ties(forward, backward, rng):
    """At ties the contract promises sums alone, and zeros for all others."""

    def run(x):
        _, cache = forward(x)
        dx = backward(np.cos(np.arange(x[..., 0].size)).reshape(x.shape[:-1]), cache)
        winners = x == x.max(axis=-1, keepdims=True)
        return (dx * winners).sum(axis=-1), dx * ~winners, dx.dtype.name

    made = []
    for (x,) in maxout_inputs(rng):
        tied = x.astype(np.float64)
        tied[..., 1] = tied[..., 0] = tied.max(axis=-1) + 1
        made.append(watched(run, tied))
    return made


def score_inputs(rng):
    for dtype in FLOATS:
        for N, C in [(1, 2), (1, 5), (4, 4), (6, 3), (3, 8)]:
            # in float32 larger scores differ by rounding that the contract allows
            for size in (1, 30, 800, 1e4) if dtype == np.float64 else (1, 5):
                x = rng.uniform(-size, size, size=(N, C)).astype(dtype)
                yield [x, rng.integers(C, size=N)]
                yield [x - x[:, :1] + dtype(size), rng.integers(C, size=N)]


def losses(function, rng, inputs):
    def number(*arrays):
        loss, grad = function(*arrays)
        # any float will do for a loss, but one number
        return float(loss) if np.ndim(loss) == 0 else loss, grad

    return [watched(number, *arrays) for arrays in inputs(rng)]


def pair_inputs(rng):
    for dtype in FLOATS:
        for shape in [(1, 1), (1, 4), (5, 1), (4, 4), (3, 2)]:
            yield [rng.normal(size=shape).astype(dtype) for _ in range(2)]


def gradients(function, rng):
    def run(x, scattered, h):
        laid = x[::2].T if scattered else x
        before = laid.copy()
        weights = np.cos(np.arange(laid.size)).reshape(laid.shape)
        functions = [lambda a: (weights * a**3).sum(), lambda a: np.exp(a).sum()]
        grads = [function(f, laid, **h) for f in functions]
        # what the checks promise to see: rounding of numerical gradients is theirs
        grads = [np.float32(g) if isinstance(g, np.ndarray) else g for g in grads]
        return grads, bool((laid == before).all())

    shapes = [(4,), (4, 3), (2, 2, 2), (1, 1, 2, 3)]
    return [
        watched(run, 10.0 ** rng.uniform(-6, 0, size=shape), scattered, h)
        for shape in shapes
        for scattered in (False, True)
        for h in ({}, {"h": 0.1}, {"h": 1e-3})
    ]


def graphs(Value, rng):
    """Expressions of many kinds, with plain numbers, and deep graphs."""
    expressions = [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: -a * b**3,
        lambda a, b: a**-1.5 + b**0.5,
        lambda a, b: (2 - a) * (3 / b) + 4 * a + (5 + b),
        lambda a, b: (a - 2) / 3 + (b + 1) * 0.5,
        lambda a, b: a.exp() * b.tanh(),
        lambda a, b: (a - 5).relu() + (b + 5).relu() * a,
        lambda a, b: a * a + a * b + a,
        lambda a, b: (a + b) * (a - b) / (a * b) - (a + b),
        lambda a, b: ((a * b).tanh() * a).exp() / (a * b),
        _deep(500, lambda node, a: node * 0.99 + a * 0.01),
        _deep(500, lambda node, a: node + node if node.data < 1e100 else node - a),
    ]

    def run(expression, first, second):
        a, b = Value(first), Value(second)
        out = expression(a, b)
        out.backward()
        return [float(v) for v in (out.data, a.grad, b.grad, a.data, b.data, out.grad)]

    numbers = rng.uniform(0.2, 3, size=(len(expressions), 3, 2))
    return [
        watched(run, expression, *map(float, pair))
        for expression, pairs in zip(expressions, numbers, strict=True)
        for pair in pairs
    ]


def _deep(depth, step):
    def expression(a, b):
        node = a + b
        for _ in range(depth // 3):
            node = step(node, a)
        return node

    return expression


def nets(Net, rng, arguments, features, labels):
    """What the contract says of a net: its start by features, the rest by number."""

    def run(arguments, X, y):
        net = Net(**arguments)
        start = {name: _features(name, v) for name, v in net.params.items()}
        for name, value in net.params.items():
            net.params[name] = np.cos(np.arange(value.size)).reshape(value.shape)
        held = copy.deepcopy(net.params)
        out = net.loss(X)
        loss, grads = net.loss(X, y)
        return start, out, float(loss), grads, same(held, net.params)

    results = []
    for N in (1, 4):
        for given in arguments:
            X, y = features(rng, N), labels(rng, N)
            results.append(watched(run, given, X, y))
    return results


def _features(name, value):
    rounded = [round(float(f), 3) for f in (value.mean(), value.std())]
    distinct = len(np.unique(value)) == value.size
    return value.shape, value.dtype.name, rounded, distinct, not value.any()


def two_layer_net(Net, rng):
    given = [
        {"input_dim": 6, "hidden_dim": 5, "num_classes": 4, "weight_scale": w, "reg": r}
        for w, r in [(0.0, 0.0), (0.0, 0.5), (1e-9, 0.01)]
    ]
    results = nets(
        Net,
        rng,
        given,
        lambda rng, N: rng.normal(size=(N, 2, 3)),
        lambda rng, N: rng.integers(4, size=N),
    )

    def scale(weight_scale):
        more = {} if weight_scale is None else {"weight_scale": weight_scale}
        params = Net(300, 200, 100, **more).params
        wanted = weight_scale or 1e-3
        return {n: round(float(v.std() / wanted), 1) for n, v in params.items()}

    return results + [watched(scale, s) for s in (None, 0.5)]


def mario_net(Net, rng):
    def seeds():
        a, b, c = (Net(4, seed=s).params for s in (1, 1, 2))
        return [
            [
                same(a[name], b[name]),
                same(a[name], c[name]),
                a[name].shape,
                bool(a[name].any()),
            ]
            for name in sorted(a)
        ], [len(np.unique(a[name])) for name in sorted(a)]

    def run(X, y):
        net = Net(5, seed=0)
        for name, value in net.params.items():
            net.params[name] = np.cos(np.arange(value.size)).reshape(value.shape)
        held = copy.deepcopy(net.params)
        pred = net.loss(X)
        loss, grads = net.loss(X, y)
        return pred, float(loss), grads, same(held, net.params)

    made = [
        watched(run, rng.normal(size=(N, 3)), rng.normal(size=(N, 1)))
        for N in (1, 4, 5)
    ]
    return [watched(seeds), *made]


def descents(function, rng):
    class Bowl:
        def __init__(self):
            self.params = {"a": np.arange(3.0), "b": np.ones((2, 2))}

        def loss(self, X, y):
            off = {name: value - y for name, value in self.params.items()}
            return sum((X * v**2).sum() for v in off.values()), {
                name: 2 * X * v for name, v in off.items()
            }

    def run(X, y, rate, steps):
        net = Bowl()
        losses = function(net, X, y, rate, steps)
        return [float(v) for v in losses], dict(net.params)

    return [
        watched(run, np.ones(1), rng.normal(size=1), rate, steps)
        for rate in (0.1, 0.3)
        for steps in (1, 2, 7)
    ]
