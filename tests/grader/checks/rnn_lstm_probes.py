"""What functions of topic 07 do on broad random inputs, to tell mutants from twins.

Independent of the hidden checks: other inputs, other code, and no verdict.
"""

import copy
from itertools import product

import numpy as np

from tests.grader.checks.backprop_probes import FLOATS, watched

# (N, T, D, H)
SIZES = [(3, 4, 2, 5), (2, 3, 5, 2), (1, 1, 1, 1), (4, 2, 3, 3), (2, 30, 1, 2)]


def _wave(out):
    return np.cos(np.arange(out.size)).reshape(out.shape).astype(out.dtype)


def _arrays(rng, x, states, D, H, gates):
    """Inputs, ``states`` states and the weights, of both widths, and saturated."""
    shapes = [x, *[(x[0], H)] * states, (D, gates * H), (H, gates * H), (gates * H,)]
    for dtype, bias in [*product(FLOATS, [1.0]), (np.float64, 500.0)]:
        arrays = [0.6 * rng.normal(size=shape) for shape in shapes]
        arrays[-1] *= bias
        yield [array.astype(dtype) for array in arrays]


def _both_ways(forward, backward, arrays):
    def run(*arrays):
        *outs, cache = forward(*arrays)
        outs = copy.deepcopy(outs)
        forward(*(array + 1 for array in arrays))
        upstream = [_wave(out) + out.dtype.type(0.3) for out in outs]
        first = watched(lambda *douts: backward(*douts, cache), *upstream)
        again = watched(lambda *douts: backward(*douts, cache), *upstream)
        return outs, copy.deepcopy(first), again

    return [watched(run, *arrays), watched(forward, *arrays)[1:]]


def steps(gates):
    def probe(forward, backward, rng):
        made = []
        for N, _, D, H in SIZES[:4]:
            for arrays in _arrays(rng, (N, D), 1 + (gates == 4), D, H, gates):
                made += _both_ways(forward, backward, arrays)
        return made

    return probe


def sequences(gates):
    def probe(forward, backward, rng):
        made = []
        for N, T, D, H in SIZES:
            for arrays in _arrays(rng, (N, T, D), 1, D, H, gates):
                made += _both_ways(forward, backward, arrays)
        return made

    return probe


def radii(function, rng):
    sizes = product((1, 2, 3, 6), FLOATS)
    return [watched(function, rng.normal(size=(H, H)).astype(t)) for H, t in sizes]


def norms(function, rng):
    made = []
    for H, T, dtype in product((1, 3, 4), (0, 1, 7), FLOATS):
        Wh, dh = rng.normal(size=(H, H)), rng.normal(size=H)
        made.append(watched(function, Wh.astype(dtype), dh.astype(dtype), T))
    return made


def embeddings(forward, backward, rng):
    def run(x, W):
        out, cache = forward(x, W)
        out = copy.deepcopy(out)
        forward(x[:1] * 0, W + 1)
        first = watched(lambda dout: backward(dout, cache), _wave(out))
        return out, first, watched(lambda dout: backward(dout, cache), _wave(out))

    made = []
    for (N, T, V, D), t in product([(3, 5, 4, 2), (1, 1, 1, 3), (2, 3, 9, 1)], FLOATS):
        x, W = rng.integers(V, size=(N, T)), rng.normal(size=(V, D)).astype(t)
        made += [watched(run, x, W), watched(forward, x, W)[1:]]
    return made


def losses(function, rng):
    def run(x, y, mask):
        loss, dx = function(x, y, mask)
        return float(loss), dx

    made = []
    sizes = [(3, 4, 5), (1, 1, 2), (4, 2, 3)]
    for (N, T, V), t, scale in product(sizes, FLOATS, (1.0, 5e3)):
        x = (scale * rng.normal(size=(N, T, V))).astype(t)
        y, mask = rng.integers(V, size=(N, T)), rng.random((N, T)) < 0.6
        for some in (mask, mask | True, mask & False):
            made.append(watched(run, x, np.where(some, y, V + 3), some))
    return made


def _params(rng, V, D, H, dtype):
    shapes = {"W_embed": (V, D), "Wx": (D, 4 * H), "Wh": (H, 4 * H), "b": (4 * H,)}
    shapes |= {"W_out": (H, V), "b_out": (V,)}
    return {n: rng.normal(size=shape).astype(dtype) for n, shape in shapes.items()}


def models(function, rng):
    def run(params, x, y):
        loss, grads = function(params, x, y)
        return float(loss), grads

    made = []
    for (N, T, V, D, H), t in product([(3, 4, 5, 2, 3), (1, 1, 2, 1, 2)], FLOATS):
        x, y = rng.integers(V, size=(2, N, T))
        made.append(watched(run, _params(rng, V, D, H, t), x, y))
    return made


def samplers(function, rng):
    """Two long texts by what their characters follow, and short cold ones as such."""

    def run(params, start, length, temperature, seed):
        generator = np.random.default_rng(seed)
        text = np.asarray(function(params, start, length, temperature, generator))
        again = function(params, start, length, temperature, generator)
        same_twice = length > 9 and bool(np.array_equal(text, again))
        return text.shape, text.dtype.kind, same_twice, text

    made = []
    for t, temperature in product(FLOATS, (1e-3, 0.5, 3.0)):
        params = _params(rng, 4, 3, 5, t)
        made.append(watched(run, params, 1, 60, temperature, 5))
    sure = params | {"W_out": 1e3 * params["W_out"]}
    return [*made, watched(run, sure, 2, 25, 1.0, 6), watched(run, sure, 0, 1, 1.0, 6)]


def attentions(function, rng):
    made = []
    sizes = [(3, 4, 5), (1, 1, 1), (4, 2, 2), (2, 6, 3)]
    for (N, K, D), t, scale in product(sizes, FLOATS, (1.0, 1e3)):
        query, features = scale * rng.normal(size=(N, D)), rng.normal(size=(N, K, D))
        made.append(watched(function, query.astype(t), features.astype(t)))
    return made
