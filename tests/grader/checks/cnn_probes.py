"""What functions of topic 04 do on broad random inputs, to tell mutants from twins.

Independent of the hidden checks: other inputs, other code, and no verdict.
"""

import copy
from itertools import product

import numpy as np
import torch

from tests.grader.checks.backprop_probes import FLOATS, same, watched

# (size of the image, of the kernel, stride, pad, dilation)
LAYERS = [
    ((4, 4), (3, 3), 1, 1, 1),
    ((5, 3), (2, 3), 1, 0, None),
    ((6, 9), (3, 2), 2, 1, None),
    ((8, 7), (1, 3), 3, 2, 1),
    ((9, 6), (3, 2), 1, 0, 2),
    ((7, 11), (2, 3), 2, 3, 3),
    ((10, 5), (4, 1), 3, 0, None),
]
# (size of the image, of the window, stride)
WINDOWS = [
    ((4, 6), (2, 2), 2),
    ((5, 5), (3, 2), 1),
    ((7, 6), (2, 3), 3),
    ((6, 7), (3, 3), 2),
    ((8, 5), (1, 2), 3),
]


def _wave(out):
    return np.cos(np.arange(out.size)).reshape(out.shape).astype(out.dtype)


def filters(function, rng):
    sizes = [((4, 5), (3, 3)), ((3, 7), (1, 5)), ((5, 2), (5, 3)), ((1, 1), (3, 3))]
    return [
        watched(function, rng.normal(size=a).astype(t), rng.normal(size=k).astype(t))
        for (a, k), t in product(sizes, FLOATS)
    ]


def sizes(function, rng):
    def known(*arguments, **options):
        result = function(*arguments, **options)
        entries = result if isinstance(result, tuple) else [result]
        return result, [type(entry).__name__ for entry in entries]

    settings = [(3, 1, 0, 1), (4, 2, 1, 2), (2, 3, 2, 3), (5, 2, 0, 1)]
    lengths = [int(n) for n in rng.integers(12, 30, 3)]
    calls = [((n, *setting), {}) for n in lengths for setting in settings]
    calls += [((9, 4), {}), ((9, 4), {"stride": 2}), ((9, 4), {"padding": 2})]
    calls += [((9, 4), {"dilation": 2}), (((9, 8), (2, 3)), {})]
    calls += [(((9, 8, 7), 3), {"stride": (1, 2, 3), "padding": 1, "dilation": 2})]
    calls += [(((12, 9), (3, 2), 2, (1, 0), (2, 3)), {}), (((7,), (3,)), {"stride": 2})]
    return [watched(lambda a=a, o=o: known(*a, **o)) for a, o in calls]


def counts(function, rng):
    calls = [(1, 1, 3), (3, 8, 5), (4, 6, (2, 5)), (7, 2, (1, 3))]
    if function.__name__ == "count_operations":
        calls = [(*call, h, w) for call in calls for h, w in [(1, 1), (4, 7), (9, 3)]]
        return [watched(function, *call) for call in calls]
    return [watched(function, *c, *b) for c in calls for b in [(), (True,), (False,)]]


def fields(function, rng):
    stacks = [[], [(3, 1)], [(3, 2), (5, 1)], [(2, 3, 2), (3, 2), (4, 1, 3), (3, 1, 1)]]
    return [watched(function, stack) for stack in stacks]


def _both_ways(forward, backward, arrays, param):
    def run(*arrays):
        out, cache = forward(*arrays, dict(param))
        out = copy.deepcopy(out)
        forward(*(a[::-1] + 1 for a in arrays), dict(param))
        first = watched(backward, _wave(out), cache)
        return out, copy.deepcopy(first), watched(backward, _wave(out), cache)

    return [watched(run, *arrays), watched(forward, *arrays, dict(param))[1:]]


def convolutions(forward, backward, rng):
    made = []
    for i, (size, kernel, stride, pad, dilation) in enumerate(LAYERS):
        dtype = FLOATS[i % 2]
        N, C, F = (int(n) for n in rng.integers(1, 4, 3))
        arrays = rng.normal(size=(N, C, *size)), rng.normal(size=(F, C, *kernel))
        arrays = [a.astype(dtype) for a in (*arrays, rng.normal(size=F))]
        param = {"stride": stride, "pad": pad}
        if dilation:
            param["dilation"] = dilation
        made += _both_ways(forward, backward, arrays, param)
    return made


def poolings(forward, backward, rng):
    made = []
    for i, (size, window, stride) in enumerate(WINDOWS):
        dtype = FLOATS[i % 2]
        N, C = (int(n) for n in rng.integers(1, 4, 2))
        names = ("pool_height", "pool_width", "stride")
        param = dict(zip(names, (*window, stride), strict=True))
        x = rng.normal(size=(N, C, *size)).astype(dtype)
        made += _both_ways(forward, backward, [x], param)
    return made


def max_ties(forward, backward, rng):
    """At ties the contract promises sums alone, and zeros for all others."""

    def run(x):
        _, cache = forward(x, {"pool_height": 2, "pool_width": 2, "stride": 2})
        dout = np.abs(_wave(x[:, :, ::2, ::2])) + 1
        dx = backward(dout, cache)
        tall = x.reshape(2, 2, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(16, 4)
        parts = dx.reshape(2, 2, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(16, 4)
        winners = tall == tall.max(axis=1, keepdims=True)
        return (parts * winners).sum(axis=1), parts * ~winners, (parts >= 0).all()

    x = rng.integers(0, 2, size=(2, 2, 4, 4)).astype(float)
    return [watched(run, x), watched(run, x - 5)]


def pixels(function, rng):
    shapes = [(2, 3, 4, 5), (1, 1, 2, 2), (3, 4, 4, 4), (1, 2, 3, 1)]
    return [
        watched(
            function,
            rng.normal(size=shape).astype(t),
            rng.normal(size=(F, shape[1])).astype(t),
            rng.normal(size=F).astype(t),
        )
        for shape, t, F in product(shapes, FLOATS, (1, 4))
    ]


def convnets(Net, rng):
    """The start by its features, the rest by number."""

    def run(given, X, y):
        net = Net(**given)
        start = {
            n: (v.shape, v.dtype.name, bool(v.any())) for n, v in net.params.items()
        }
        for name, value in net.params.items():
            net.params[name] = _wave(value) * value.dtype.type(0.7)
        held = copy.deepcopy(net.params)
        scores = net.loss(X)
        loss, grads = net.loss(X, y)
        return start, scores, float(loss), grads, same(held, net.params)

    def scale(**given):
        params = Net(input_dim=(3, 8, 8), hidden_dim=60, **given).params
        wanted = given.get("weight_scale", 1e-3)
        # far from their bounds, as these are statistics of random numbers
        return {
            n: (abs(v.std() / wanted - 1) < 0.2, abs(v.mean()) < 0.2 * wanted)
            for n, v in params.items()
        }

    made = [watched(lambda: scale()), watched(lambda: scale(weight_scale=0.5))]
    made.append(watched(lambda: {n: v.shape for n, v in Net().params.items()}))
    sizes = [((2, 6, 4), 3, 3, 5, 4), ((1, 5, 7), 2, 5, 4, 3), ((3, 2, 3), 4, 1, 3, 5)]
    names = ("input_dim", "num_filters", "filter_size", "hidden_dim", "num_classes")
    for values, dtype, reg in product(sizes, FLOATS, (0.0, 0.4)):
        given = dict(zip(names, values, strict=True)) | {"dtype": dtype, "reg": reg}
        N = int(rng.integers(1, 4))
        X = rng.normal(size=(N, *values[0])).astype(dtype)
        made.append(watched(run, given, X, rng.integers(values[-1], size=N)))
    return made


def twins(function, rng):
    def run(params, X):
        before = copy.deepcopy(params)
        twin = function(params)
        out = twin(torch.tensor(X))
        out.square().sum().backward()
        grads = [p.grad.square().sum().item() for p in twin.parameters()]
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter += 1
        return out.detach().numpy(), np.float32(sorted(grads)), same(before, params)

    made = []
    for C, H, W, F, k in [(2, 6, 4, 3, 3), (1, 5, 7, 2, 5), (3, 4, 4, 4, 1)]:
        D = F * (H // 2) * (W // 2)
        shapes = {"W1": (F, C, k, k), "b1": (F,), "W2": (D, 4), "b2": (4,)}
        shapes |= {"W3": (4, 4), "b3": (4,)}
        params = {n: rng.normal(size=s).astype("float32") for n, s in shapes.items()}
        made.append(
            watched(run, params, rng.normal(size=(3, C, H, W)).astype("float32"))
        )
    return made
