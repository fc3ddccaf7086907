"""Topic 12, the models under attack: they cross to the student's side as weights."""

import numpy as np
import torch

from grader.checking import Trusted


def build(kind, shape, num_classes, dtype):
    """Return a model of images of this shape (C, H, W); it returns scores."""
    import torch
    from torch import nn

    class Loud(nn.Module):
        """Doubles the scores while it is trained."""

        def forward(self, scores):
            return 2 * scores if self.training else scores

    num_pixels = shape[0] * shape[1] * shape[2]
    flat = nn.Flatten()
    layers = {
        "linear": (flat, nn.Linear(num_pixels, num_classes)),
        "loud": (flat, nn.Linear(num_pixels, num_classes), Loud()),
        "tanh": (
            flat,
            nn.Linear(num_pixels, 10),
            nn.Tanh(),
            nn.Linear(10, num_classes),
        ),
        "conv": (
            nn.Conv2d(shape[0], 4, 3, padding=1),
            nn.Tanh(),
            flat,
            nn.Linear(4 * num_pixels // shape[0], num_classes),
        ),
        "relu": (
            flat,
            nn.Linear(num_pixels, 10),
            nn.ReLU(),
            nn.Linear(10, num_classes),
        ),
        "norm": (
            nn.BatchNorm2d(shape[0]),
            flat,
            nn.Linear(num_pixels, 10),
            nn.Tanh(),
            nn.Dropout(0.5),
            nn.Linear(10, num_classes),
        ),
    }
    return nn.Sequential(*layers[kind]).to(getattr(torch, dtype))


def made(
    rng: np.random.Generator,
    kind: str,
    shape: tuple[int, int, int],
    num_classes: int,
    dtype: str = "float64",
    scale: float = 4.0,
    training: bool = False,
) -> Trusted:
    """Return a model with weights from ``rng``.

    What its first layer adds up varies with ``scale``: the larger, the sooner the
    gradient turns on a way through the ball.
    """
    trusted = Trusted(
        build, kind=kind, shape=shape, num_classes=num_classes, dtype=dtype
    )
    with torch.no_grad():
        for name, value in trusted.model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if name.endswith("running_var"):
                drawn = rng.uniform(0.05, 0.2, value.shape)
            else:
                inputs = value[0].numel() if value.dim() > 1 else 1
                # later layers stay small, so that no softmax rounds to 0 and 1
                spread = scale if name.startswith(("0.", "1.")) else min(scale, 2)
                drawn = rng.normal(size=value.shape) * spread / np.sqrt(inputs)
                drawn = drawn if value.dim() > 1 else drawn / 4
            value.copy_(torch.tensor(drawn))
    trusted.model.train(training)
    return trusted
