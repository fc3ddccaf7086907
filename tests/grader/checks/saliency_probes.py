"""What functions of topic 11 do on broad random inputs, to tell mutants from twins.

Independent of the hidden checks: other inputs, other code, and no verdict.
"""

import copy
from itertools import product

import numpy as np
import torch
from torch import nn

from tests.grader.checks.backprop_probes import same as same_data
from tests.grader.checks.backprop_probes import watched

FLOATS = (torch.float64, torch.float32)


class Rough:
    """An array of which other answers may be a tenth off."""

    def __init__(self, values):
        self.values = values


def same(a, b):
    """Tell whether two results are equal, but for rounding."""
    if isinstance(a, Rough) and isinstance(b, Rough):
        a, b = a.values, b.values
        scale = np.abs(b).max(initial=1e-9)
        return a.shape == b.shape and bool((np.abs(a - b) <= 0.1 * scale).all())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return same_data(a, b)


def _wave(*shape, dtype=torch.float64, speed=1.7):
    n = int(np.prod(shape))
    return (
        torch.sin(speed * torch.arange(n, dtype=torch.float64)).reshape(shape).to(dtype)
    )


def _net(shape, dtype, train):
    size = int(np.prod(shape[1:]))
    layers = [nn.Conv2d(shape[0], 3, 3, padding=1), nn.BatchNorm2d(3), nn.Tanh()]
    net = nn.Sequential(*layers, nn.Dropout(0.4), nn.Flatten(), nn.Linear(3 * size, 5))
    for i, parameter in enumerate(net.parameters()):
        parameter.data = 0.8 * _wave(*parameter.shape, speed=1.1 + i)
    net[1].running_var += 0.7
    return net.to(dtype).train(train)


def _looked_at(call, net, x, no_grad=False):
    """What a call returns, and what it leaves behind."""

    def run():
        torch.manual_seed(3)
        modes = [m.training for m in net.modules()]
        before, state = x.clone(), copy.deepcopy(net.state_dict())
        with torch.set_grad_enabled(not no_grad):
            out = call(net, x)
        kept = all(torch.equal(v, state[n]) for n, v in net.state_dict().items())
        grads = [p.grad is None for p in net.parameters()]
        modes = modes == [m.training for m in net.modules()]
        untouched = torch.equal(before, x) and not x.requires_grad
        flags = out.requires_grad, str(out.dtype), kept, grads, modes, untouched
        return out.detach().numpy(), *map(str, flags)

    return watched(run)


def _on_nets(call, N=None, every=1):
    made = []
    shapes = [(2, 4, 5), (1, 3, 3), (3, 1, 4), (2, 5, 2)]
    for i, (shape, dtype) in list(enumerate(product(shapes, FLOATS)))[::every]:
        net = _net(shape, dtype, train=i % 3 == 0)
        x = _wave(N or 1 + i % 3, *shape, dtype=dtype, speed=2.3) + 0.2 * i
        made.append(_looked_at(call, net, x, no_grad=i % 4 == 1))
    return made


def saliency(function, rng):
    return _on_nets(lambda net, x: function(x, torch.arange(len(x)) + 1, net))


class Squares(nn.Module):
    """Half the squared distance from an image: there a map is the noise's magnitude."""

    def __init__(self, image):
        super().__init__()
        self.image = nn.Parameter(image.clone())

    def forward(self, x):
        return 0.5 * (x - self.image).square().sum(dim=(1, 2, 3))[:, None].expand(-1, 5)


def smooth(function, rng):
    def call(net, x, **options):
        generator = torch.Generator().manual_seed(1)
        return function(net, x, torch.arange(len(x)), rng=generator, **options)

    made = _on_nets(lambda net, x: call(net, x, noise=0, samples=2))
    for options in ({}, {"samples": 1}, {"noise": 0.7}, {"noise": 2, "samples": 3}):
        for shape in [(1, 2, 3, 4), (3, 1, 5, 2), (2, 3, 1, 1)]:
            x = _wave(*shape) * _wave(shape[0], 1, 1, 1, speed=0.9) + 4
            for image in (x, x.float()):
                # a network of one image for all would not be at rest at each of them
                net = Squares(image)
                made.append(
                    _looked_at(lambda n, x, o=options: call(n, x, **o), net, image)
                )
    return made


def clips(function, rng):
    maps = [rng.normal(size=s) for s in [(4, 5), (7, 3), (1, 9)]]
    maps = [*maps, np.abs(maps[0]), 0 * maps[1], -np.abs(maps[2]), np.ones((2, 2))]
    calls = [
        (torch.tensor(m).to(d), q)
        for m in maps
        for d in FLOATS
        for q in (None, 0, 35, 90.5, 100)
    ]

    def run(saliency, q):
        before = saliency.clone()
        out = function(saliency) if q is None else function(saliency, q)
        kept = str(torch.equal(before, saliency)), str(out.dtype)
        return out.numpy().copy(), *kept

    return [watched(run, *call) for call in calls]


def paths(function, rng):
    made = []
    for options in ({}, {"steps": 30}):
        for shape in ((), (2, 1, 1, 1), None):

            def call(net, x, shape=shape, options=options):
                baseline = _wave(*(x.shape if shape is None else shape), dtype=x.dtype)
                if shape == (2, 1, 1, 1):
                    baseline = baseline[:1] if len(x) != 2 else baseline
                return function(net, x, torch.arange(len(x)), baseline, **options)

            made += _on_nets(call, every=5)
    return [_rough(one) for one in made]


def _rough(made):
    """Every Riemann sum counts as the same."""
    if isinstance(made, list | tuple):
        return type(made)(map(_rough, made))
    floats = isinstance(made, np.ndarray) and made.dtype.kind == "f"
    return Rough(made) if floats else made


def covers(function, rng):
    made = []
    for size, stride, options in [(1, 1, {}), (1, 2, {"value": 0.7}), (1, 3, {})]:
        made += _on_nets(
            lambda net, x, s=size, t=stride, o=options: function(net, x, 2, s, t, **o),
            1,
        )
    for size, stride in product((2, 3), (1, 2, 3)):
        net, x = _net((2, 7, 6), torch.float64, True), _wave(1, 2, 7, 6, speed=0.9)
        made.append(
            _looked_at(
                lambda n, x, s=size, t=stride: function(n, x, torch.tensor([1]), s, t),
                net,
                x,
            )
        )
    return made


def patches(function, rng):
    def run(activations, images, unit, options):
        before = activations.clone(), images.clone()
        out = function(activations, images, unit, **options)
        kept = torch.equal(before[0], activations) and torch.equal(before[1], images)
        return out.detach().numpy(), str(kept), str(out.dtype), str(out.requires_grad)

    made = []
    cells = [
        ((2, 3, 4), (2, 2)),
        ((3, 5, 2), (1, 3)),
        ((1, 2, 2), (3, 2)),
        ((4, 1, 3), (2, 4)),
    ]
    for (N, h, w), (high, wide) in cells:
        activations = torch.tensor(rng.normal(size=(N, 3, h, w)))
        images = torch.tensor(rng.random((N, 2, h * high, w * wide)))
        for unit, options in product((0, 2), ({}, {"k": 1}, {"k": 4}, {"k": 40})):
            made.append(watched(run, activations, images.float(), unit, options))
    images.requires_grad_()
    return [*made, watched(run, activations, images, 1, {})]


def neighbours(function, rng):
    def run(features, query, options):
        before = features.clone(), query.clone()
        out = function(features, query, **options)
        kept = torch.equal(before[0], features) and torch.equal(before[1], query)
        return out.numpy(), str(kept), str(out.dtype)

    made = []
    for N, D in [(30, 4), (7, 2), (3, 6), (40, 1)]:
        features = torch.tensor(rng.normal(size=(N, D)) * rng.uniform(0.2, 4, (N, 1)))
        for query in (features[1] * 1.0, torch.tensor(rng.normal(size=D))):
            for options in ({}, {"k": 1}, {"k": 3}, {"k": 50}):
                made.append(watched(run, features, query, options))
    return made


def shortcuts(function, rng):
    made = []
    for i, (row, column) in enumerate([(1, 8), (9, 0), (4, 4), (0, 3)]):
        weights = 0.02 * rng.normal(size=(2, 2, 13, 14))
        weights[0, :, row : row + 4, column : column + 4] += 1
        weights[1, :, row : row + 4, column : column + 4] -= 1
        net = nn.Sequential(nn.Flatten(), nn.Linear(2 * 13 * 14, 2)).train(i % 2 == 0)
        net[1].weight.data = torch.tensor(weights).float().flatten(1)
        X = torch.tensor(rng.random((20, 2, 13, 14))).float()

        def run(net=net, X=X, no_grad=i == 1):
            modes = [m.training for m in net.modules()]
            with torch.set_grad_enabled(not no_grad):
                found = function(net, X, torch.arange(20) % 2, 4)
            kept = modes == [m.training for m in net.modules()]
            clean = all(p.grad is None for p in net.parameters())
            return [int(n) for n in found], str(kept), str(clean)

        made.append(watched(run))
    return made
