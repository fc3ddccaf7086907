"""What functions of topic 09 do on broad random inputs, to tell mutants from twins.

Independent of the hidden checks: other inputs, other code, and no verdict. Of networks,
only what the contract promises counts: their numbers of layers and channels are free.
"""

import copy
from itertools import product
from unittest import mock

import torch
import torch.nn.functional as F

FLOATS = (torch.float32, torch.float64)


def same(a, b):
    """Tell whether two behaviours are equal, but for rounding."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if torch.is_tensor(a) and torch.is_tensor(b):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        eps = 1e-4 if a.dtype == torch.float32 else 1e-9
        return torch.allclose(a, b, eps, eps, equal_nan=True)
    if isinstance(a, float) and isinstance(b, float):
        return a == b or abs(a - b) < 1e-6 or (a != a and b != b)
    return type(a) is type(b) and a == b


def watched(function, *arguments, **options):
    """Return result or error, whether it has a graph, and what became of arguments."""
    tensors = [a for a in arguments if torch.is_tensor(a)]
    before = [tensor.detach().clone() for tensor in tensors]
    try:
        result = function(*arguments, **options)
    # mutants raise anything, and a time limit is a kind of behaviour, too
    except Exception as error:
        return [type(error).__name__]
    graph = torch.is_tensor(result) and result.requires_grad
    kept = [torch.equal(a, b) for a, b in zip(tensors, before, strict=True)]
    shared = torch.is_tensor(result) and any(
        t.untyped_storage().data_ptr() == result.untyped_storage().data_ptr()
        for t in tensors
    )
    result = result.detach() if torch.is_tensor(result) else result
    return [copy.deepcopy(result), graph, kept, shared]


def _draw(generator, *shape, dtype=torch.float64, grad=False):
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return values.to(dtype).requires_grad_(grad)


def upsampling(function, generator):
    shapes = [(1, 2, 3, 4), (2, 1, 4, 2), (3, 2, 1, 1)]
    return [
        watched(function, _draw(generator, *s, dtype=t, grad=f > 2), f)
        for s, t, f in product(shapes, FLOATS, (1, 2, 3, 4))
    ]


def unpooling(function, generator):
    made = []
    for size, window, dtype in product(
        [(4, 6), (7, 5), (9, 8)], [(2, 2), (3, 2), (1, 4)], FLOATS
    ):
        x = _draw(generator, 2, 3, *size, dtype=dtype)
        values, indices = F.max_pool2d(x, window, return_indices=True)
        values = (values - 2).requires_grad_(dtype == torch.float32)
        made.append(watched(function, values, indices, size))
    return made


def matrices(function, generator):
    shapes = [((3,), 7), ((2,), 5), ((4,), 9), ((3, 2), (5, 4)), ((1, 3), (4, 7))]
    shapes += [((2, 4), (6, 4)), ((1, 1), (2, 3)), ((1,), 4)]
    settings = [{}, {"stride": 2}, {"padding": 2}, {"stride": 3, "padding": 1}]
    return [
        watched(function, _draw(generator, *k, dtype=t, grad=t == FLOATS[0]), n, **s)
        for (k, n), s, t in product(shapes, settings, FLOATS)
    ]


def transposed(function, generator):
    shapes = [
        ((2, 3, 4, 3), (2, 3, 4)),
        ((1, 2, 3, 5), (3, 5, 3)),
        ((2, 1, 3, 3), (1, 4, 3)),
    ]
    settings = [{}, {"stride": 2}, {"padding": 1}, {"stride": 3, "padding": 1}]
    made = []
    for (shape, (Co, *size)), setting, dtype in product(shapes, settings, FLOATS):
        shapes_of_all = shape, (shape[1], Co, *size), (Co,)
        grad = dtype == torch.float32
        given = [_draw(generator, *s, dtype=dtype, grad=grad) for s in shapes_of_all]
        made.append(watched(function, *given, **setting))
    return made


def convolutions_of_layers(function, generator):
    def run(bias, shape, dtype):
        C, H, W = shape
        linear = torch.nn.Linear(C * H * W, 3, bias=bias, dtype=dtype)
        for parameter in linear.parameters():
            parameter.data = _draw(generator, *parameter.shape, dtype=dtype)
        conv = function(linear, shape)
        images = [_draw(generator, 2, C, H + k, W + 2 * k, dtype=dtype) for k in (0, 1)]
        out = [conv(image).detach() for image in images]
        trained = [p.requires_grad for p in (*conv.parameters(), *linear.parameters())]
        with torch.no_grad():
            for parameter in conv.parameters():
                parameter.zero_()
        kept = [p.detach().clone() for p in linear.parameters()]
        return [out, trained, kept, isinstance(conv, torch.nn.Conv2d)]

    shapes = [(2, 3, 4), (3, 1, 2), (1, 4, 4)]
    return [
        watched(lambda b=b, s=s, t=t: run(b, s, t))
        for b, s, t in product((True, False), shapes, FLOATS)
    ]


def ious(mean_iou, generator):
    def function(*maps, **options):
        # a tensor of one number is as good
        return float(mean_iou(*maps, **options))

    made = []
    for shape, K in product([(2, 4, 5), (30,), (3, 3)], (2, 4, 7)):
        pred, target = (torch.randint(K, shape, generator=generator) for _ in "ab")
        made.append(watched(function, pred, target, K))
        made.append(watched(function, pred % 2, target % 3 % K, K))
        for mark in (255, -1, 0, 1):
            marked = torch.where(
                torch.rand(shape, generator=generator) < 0.4, mark, target
            )
            made.append(watched(function, pred, marked, K, ignore_index=mark))
        made.append(watched(function, pred, 0 * pred + 9, K, ignore_index=9))
    return made


def weights(function, generator):
    made = []
    for shape, K in product([(2, 4, 5), (30,), (3, 3)], (2, 4, 7)):
        target = torch.randint(K, shape, generator=generator)
        made.append(watched(function, target, K))
        made.append(watched(function, target % 2, K))
        marked = torch.where(torch.rand(shape, generator=generator) < 0.4, 255, target)
        made.append(watched(function, marked, K, ignore_index=255))
    return made


def losses(function, generator):
    def run(scores, target, options):
        scores = scores.clone().requires_grad_()
        loss = function(scores, target, **options)
        return [loss.detach(), torch.autograd.grad(loss, scores)[0]]

    made = []
    for dtype, scale, mark in product(FLOATS, (1, 1e4), (None, 255, -1, 0, 2)):
        scores = _draw(generator, 2, 4, 3, 5, dtype=dtype).clamp(-1, 1) * scale
        target = torch.randint(4, (2, 3, 5), generator=generator)
        some = torch.rand(target.shape, generator=generator) < 0.3
        options = {} if mark is None else {"ignore_index": mark}
        marked = target if mark is None else torch.where(some, mark, target)
        made.append(watched(run, scores, marked, options))
        options = options | {"weights": torch.tensor([0.5, 1, 2, 4], dtype=dtype)}
        made.append(watched(run, scores, marked, options))
    return made


def networks(Net, generator, **options):
    """The promises as facts: what a network returns, how it learns, what it joins."""

    def run(C, K, size):
        torch.manual_seed(0)
        net, other = Net(C, K, **options), Net(C, K, **options)
        X = _draw(generator, 2, C, *size, dtype=torch.float32)
        before = X.clone()
        scores = net(X)
        scores.square().mean().backward()
        missed = sum(p.grad is None for p in net.parameters())
        other.load_state_dict(net.state_dict())
        with torch.no_grad():
            first, alone = net.eval()(X), net(X[1:])
            known = torch.allclose(first, other.eval()(X), 1e-4, 1e-4)
        same = torch.allclose(first[1:], alone, 1e-3, 1e-3)
        return [list(scores.shape), missed, known, same, torch.equal(X, before)]

    def joins():
        calls = dict.fromkeys(("pool", "unpool", "cat"), 0)

        def counting(name, function):
            def call(*arguments, **more):
                calls[name] += 1
                return function(*arguments, **more)

            return call

        net = Net(3, 6, **options).eval()
        X = _draw(generator, 1, 3, 64, 48, dtype=torch.float32)
        with (
            mock.patch.object(torch, "cat", counting("cat", torch.cat)),
            mock.patch.object(F, "max_pool2d", counting("pool", F.max_pool2d)),
            mock.patch.object(F, "max_unpool2d", counting("unpool", F.max_unpool2d)),
        ):
            scores = net(X)
        pools = calls["pool"]
        negative = (scores < 0).any().item()
        return [pools > 1, calls["cat"] == pools, calls["unpool"] == pools, negative]

    sizes = [(8, 8), (9, 15), (16, 33), (21, 10), (40, 24)]
    made = [
        watched(run, C, K, size) for (C, K), size in product([(3, 4), (1, 2)], sizes)
    ]
    return [*made, watched(joins)]
