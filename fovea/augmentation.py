"""Random changes to a batch of images, on its device, that leave the labels right.

Each takes images ``X (N, C, H, W)``, floats in [0, 1], and a generator, on their device
or on the CPU; it returns new images of the same shape, dtype, device and memory format,
in [0, 1]. Each image is changed by random numbers of its own.
"""

import torch
import torch.nn.functional as F


def random_flip(X: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the images, half of them, drawn at random, with left and right swapped."""
    return torch.where(_draw(X, generator) < 0.5, X.flip(-1), X)


def random_crop(
    X: torch.Tensor, generator: torch.Generator, padding: int = 2
) -> torch.Tensor:
    """Return the images, each moved by up to ``padding`` whole pixels down or up and
    right or left, all moves equally likely; what comes in is black."""
    num_places = 2 * padding + 1
    down, right = ((num_places * _draw(X, generator)).long().flatten() for _ in "yx")
    # (N, C, down, right, H, W): every crop, and none is copied
    crops = F.pad(X, [padding] * 4).unfold(2, X.shape[2], 1).unfold(3, X.shape[3], 1)
    return crops[torch.arange(len(X), device=X.device), :, down, right]


def color_jitter(
    X: torch.Tensor, generator: torch.Generator, strength: float = 0.2
) -> torch.Tensor:
    """Return the images with brightness, contrast and, where there are three channels,
    saturation multiplied by factors from 1 - strength to 1 + strength."""
    brightness, contrast, saturation = (
        (1 + strength * (2 * _draw(X, generator) - 1)).to(X.dtype) for _ in range(3)
    )
    X = brightness * X
    if X.shape[1] == 3:
        X = torch.lerp(X.mean(dim=1, keepdim=True), X, saturation)
    return torch.lerp(X.mean(dim=(1, 2, 3), keepdim=True), X, contrast).clamp_(0, 1)


def add_noise(
    X: torch.Tensor, generator: torch.Generator, sigma: float = 0.05
) -> torch.Tensor:
    """Return the images plus normal noise of standard deviation ``sigma``."""
    noise = _draw(X, generator, torch.randn, X.shape[1:]).to(X.dtype)
    return X.add(noise, alpha=sigma).clamp_(0, 1)


def _draw(X, generator, sample=torch.rand, shape=(1, 1, 1)) -> torch.Tensor:
    """Return random numbers ``(N, *shape)``, of its own for each image."""
    if X.ndim != 4 or not X.is_floating_point():
        got = f"shape {(*X.shape,)}, {X.dtype}"
        raise ValueError(f"X has {got}, expected images (N, C, H, W) of floats")
    size, device = (len(X), *shape), generator.device
    return sample(size, generator=generator, device=device).to(X.device)
