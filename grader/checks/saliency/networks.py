"""Topic 11, networks that answers are tried on; each is built here and there.

``build_…`` functions are self-contained, as they cross to the student's side; their
weights are drawn on this side alone.
"""

from collections.abc import Callable

import numpy as np
import torch

from grader.checking import Trusted


def build_linear(shape, num_classes, double):
    """A linear score of all pixels."""
    from math import prod

    from torch import nn

    model = nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), num_classes))
    return model.double() if double else model


def build_quadratic(shape, num_classes, double):
    """Scores Σ (½ curve x² + slope x): the gradient is curve x + slope."""
    import torch
    from torch import nn

    class Quadratic(nn.Module):
        def __init__(self):
            super().__init__()
            self.curve = nn.Parameter(torch.zeros(num_classes, *shape))
            self.slope = nn.Parameter(torch.zeros(num_classes, *shape))

        def forward(self, X):
            X = X[:, None]
            return (0.5 * self.curve * X**2 + self.slope * X).sum(dim=(2, 3, 4))

    return Quadratic().double() if double else Quadratic()


def build_smooth(shape, num_classes, double):
    """A smooth ConvNet with the layers that know two modes."""
    from math import prod

    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(shape[0], 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Softplus(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(4 * prod(shape[1:]), num_classes),
    )
    return model.double() if double else model


def build_relu(shape, num_classes, double):
    """A ConvNet with kinks."""
    from math import prod

    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(shape[0], 3, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(3 * prod(shape[1:]), 6),
        nn.ReLU(),
        nn.Linear(6, num_classes),
    )
    return model.double() if double else model


def build_reader(shape, num_classes, double):
    """Scores of all pixels, and of what is above 0.8: linear wherever nothing is."""
    from math import prod

    from torch import nn

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.usual = nn.Linear(prod(shape), num_classes)
            self.bright = nn.Linear(prod(shape), num_classes, bias=False)

        def forward(self, X):
            X = X.flatten(1)
            return self.usual(X) + self.bright((X - 0.8).relu())

    return Reader().double() if double else Reader()


def network(
    rng: np.random.Generator, build: Callable, shape: tuple, num_classes: int, dtype
) -> Trusted:
    """Return a network with random weights; sums over inputs stay of order 1."""
    double = dtype == torch.float64
    trusted = Trusted(build, shape=shape, num_classes=num_classes, double=double)
    with torch.no_grad():
        for tensor in trusted.model.parameters():
            fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
            put(tensor, rng.normal(size=tensor.shape) * 1.5 / fan_in**0.5)
        for name, buffer in trusted.model.named_buffers():
            if name.endswith("running_var"):
                put(buffer, rng.uniform(0.3, 3, buffer.shape))
            elif name.endswith("running_mean"):
                put(buffer, rng.normal(size=buffer.shape))
    return trusted


def put(tensor: torch.Tensor, values: np.ndarray) -> None:
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.asarray(values)))


def build_pixelwise(shape, num_classes, double):
    """A ConvNet that looks at colours, pixel by pixel, then at their places."""
    from math import prod

    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(shape[0], num_classes, 1),
        nn.BatchNorm2d(num_classes),
        nn.Softplus(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(num_classes * prod(shape[1:]), num_classes),
    )
    return model.double() if double else model
