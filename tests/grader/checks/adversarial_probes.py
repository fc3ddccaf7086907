"""What functions of topic 12 do on broad random inputs, to tell mutants from twins.

Independent of the hidden checks: other inputs, other code, and no verdict.
"""

import torch
from torch import nn

from tests.grader.checks.backprop_probes import watched

SETTINGS = [(0.1, 0.03, 5), (0.3, 0.2, 4), (0.0, 0.1, 2), (0.2, 0.1, 0), (0.05, 0.1, 3)]


def _seed(rng):
    torch.manual_seed(int(rng.integers(2**31)))


def _model(shape, num_classes, dtype, scale=4.0):
    size = shape[0] * shape[1] * shape[2]
    layers = nn.Linear(size, 9), nn.Tanh(), nn.Dropout(0.5), nn.Linear(9, num_classes)
    model = nn.Sequential(nn.Flatten(), *layers).to(dtype).eval()
    with torch.no_grad():
        layers[0].weight.mul_(scale)
        layers[3].weight.mul_(scale)
        # a pixel that nothing depends on
        layers[0].weight[:, 0] = 0
    return model


def _plain(result):
    if isinstance(result, torch.Tensor):
        return [result.detach().numpy(), result.requires_grad]
    return result


def _found(call, model, x, frozen=False):
    """Call it; return what came back and how things are left."""
    model.requires_grad_(not frozen)
    bias = model[-1].bias
    bias.grad = torch.full_like(bias, 2.0)
    with torch.set_grad_enabled(not frozen):
        result = watched(lambda: _plain(call()))
    left = [x.detach().numpy(), x.requires_grad, model.training]
    for parameter in model.parameters():
        grad = parameter.grad
        left += [None if grad is None else grad.numpy(), parameter.requires_grad]
        left.append(parameter.detach().numpy())
    return result, left


def _images(dtype, shape, num_images):
    x = (1.6 * torch.rand(num_images, *shape, dtype=dtype) - 0.3).clamp(0, 1)
    return x, torch.randint(4, (num_images,))


def _attacks():
    """Models, images and labels, and whether gradients are off."""
    for i, shape in enumerate([(1, 3, 4), (3, 2, 5), (1, 1, 6), (2, 4, 4)]):
        dtype = (torch.float64, torch.float32)[i % 2]
        x, y = _images(dtype, shape, 1 + 3 * i)
        yield _model(shape, 4, dtype), x, y, i % 2 == 1


def drops(function, rng):
    _seed(rng)
    sizes = [(5,), (2, 3, 4), (1, 1), (40, 30)]
    ws = [torch.randn(size, dtype=torch.float64) for size in sizes]
    made = [watched(function, w.numpy() * 0, 0.5)[2:] for w in ws]
    return made + [watched(lambda w=w: function(w, 0.3)) for w in [*ws, ws[0].float()]]


def flips(function, rng):
    _seed(rng)
    made = []
    for K, D, N in [(2, 3, 1), (4, 6, 9), (5, 2, 6), (3, 20, 4)]:
        for dtype in (torch.float64, torch.float32):
            W, b, x = (torch.randn(*s, dtype=dtype) for s in [(K, D), (K,), (N, D)])
            y = torch.randint(K, (N,))
            before = [t.clone() for t in (W, b, x, y)]
            result = watched(lambda a=(W, b, x, y): _plain(function(*a)))
            same = [t.equal(u) for t, u in zip(before, (W, b, x, y), strict=True)]
            made.append((result, same))
    return made


def steps(function, rng):
    _seed(rng)
    made = []
    for model, x, y, off in _attacks():
        for epsilon in (0.0, 0.1, 0.4):
            for more in ({}, {"targeted": True}, {"targeted": False}):
                call = lambda m=model, x=x, y=y, e=epsilon, o=more: function(  # noqa: E731
                    m, x, y, e, **o
                )
                made.append(_found(call, model, x, off))
    return made


def foolings(function, rng):
    _seed(rng)
    made = []
    for model, x, _, off in list(_attacks())[:2]:
        x = x[:1]
        for target in range(3):
            call = lambda m=model, x=x, t=target: function(x, t, m)  # noqa: E731
            made.append(_found(call, model, x, off))
        with torch.no_grad():
            model[-1].weight[2], model[-1].bias[2] = 0, -100
        made.append(_found(lambda m=model, x=x: function(x, 2, m), model, x, off))
    for behind in (99.5, 130.5):
        far = nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).double()
        with torch.no_grad():
            far[1].weight[:] = torch.tensor([[0, 0, 0], [0, 0, 1.0]])
            far[1].bias[:] = torch.tensor([0.0, -behind])
        x = torch.zeros(1, 3, 1, 1).double()
        made.append(_found(lambda m=far, x=x: function(x, 1, m), far, x))
    return made


def walks(function, rng):
    _seed(rng)
    made = []
    for model, x, y, off in _attacks():
        for settings in SETTINGS:
            call = lambda m=model, x=x, y=y, s=settings: function(m, x, y, *s)  # noqa: E731
            made.append(_found(call, model, x, off))

        def from_somewhere(model=model, x=x, y=y):
            """In the ball and in [0, 1], drawn from rng, followed up."""
            rng = torch.Generator().manual_seed(5)
            one, two = (function(model, x, y, 0.2, 0.1, 0, rng=rng) for _ in range(2))
            rng.manual_seed(5)
            end = function(model, x, y, 0.2, 0.1, 3, rng=rng)
            free = (x - 0.5).abs() < 0.3
            way = (one - x)[free] / 0.2
            return [one.numpy(), two.numpy(), end.numpy(), way.abs().max().item() > 0.6]

        made.append(watched(from_somewhere))
    return made


def accuracies(function, rng):
    _seed(rng)
    made = []
    for model, x, y, off in _attacks():
        for settings in SETTINGS:
            call = lambda m=model, x=x, y=y, s=settings: function(m, x, y, *s)  # noqa: E731
            result, left = _found(call, model, x, off)
            made.append((result, left))
    return made


def trainings(function, rng):
    _seed(rng)
    made = []
    for model, x, y, _ in _attacks():
        for settings in SETTINGS[:4]:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)

            def both(m=model, o=optimizer, x=x, y=y, s=settings):
                return [function(m, o, x, y, *s) for _ in range(2)]

            result, left = _found(both, model, x)
            # what stays in .grad afterwards is not promised
            values = [v for k, v in enumerate(left) if k < 3 or k % 3 != 0]
            made.append((result, values))
    return made
