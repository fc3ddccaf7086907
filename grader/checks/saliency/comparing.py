"""Topic 11, comparisons of maps with bounds, and with what they are on average."""

from dataclasses import dataclass

import torch

from grader.comparing import RTOL, disagreement

# A sound answer is this many standard errors off once in ten million times.
SIGMAS = 5.3


@dataclass(frozen=True)
class Within:
    """Maps whose entries lie between bounds, as does, of each image, their sum."""

    low: torch.Tensor
    high: torch.Tensor
    totals: list[tuple[torch.Tensor, torch.Tensor]]
    dtype: torch.dtype

    @property
    def rounding(self) -> float:
        """What rounding may add."""
        largest = float(torch.maximum(self.low.abs(), self.high.abs()).max())
        return RTOL[str(self.dtype).removeprefix("torch.")] * max(largest, 1e-6)


@dataclass(frozen=True)
class Statistic:
    """What a random result is on average, and the standard error of that."""

    mean: torch.Tensor
    error: torch.Tensor


def compare_within(key, seen, expected):
    """Return in words how an answer leaves its bounds, or an empty text."""
    if key == "changed" and seen:
        names = ", ".join(f"`{name}`" for name in seen)
        return f"your code changes what it was given: {names}"
    if not isinstance(expected, Within):
        return disagreement(key, seen, expected)
    if words := _form(key, seen, expected):
        return words
    seen, rounding = seen.double(), expected.rounding
    inside = (seen >= expected.low - rounding) & (seen <= expected.high + rounding)
    return "" if inside.all() else f"the values of `{key}` are wrong"


def compare_total(key, seen, expected):
    """Return in words how the sums of maps leave their bounds, or an empty text."""
    if words := _form(key, seen, expected):
        return words
    rounding = expected.rounding * seen[0].numel()
    for one, (low, high) in zip(seen.double(), expected.totals, strict=True):
        if not low - rounding <= one.sum() <= high + rounding:
            return (
                f"the entries of `{key}` do not add up to the score of x minus that of"
                " the baseline"
            )
    return ""


def _form(key, seen, expected: Within) -> str:
    """Return what is wrong with kind, shape, dtype or finiteness."""
    if not isinstance(seen, torch.Tensor):
        return f"`{key}` is not a tensor"
    if not torch.isfinite(seen).all():
        return f"`{key}` is not finite"
    wanted = torch.zeros_like(expected.low, dtype=expected.dtype)
    return disagreement(key, torch.zeros_like(seen), wanted)


def compare_level(key, seen, expected):
    """Return in words how the mean of a random map is off, or an empty text."""
    if _off(seen, expected):
        return (
            "the maps are not, on average, those of copies with normal noise of the"
            " promised strength"
        )
    return ""


def compare_spread(key, seen, expected):
    """Return in words how the variance of a random map is off, or how its entries go
    together, or an empty text."""
    if key == "together" and _off(seen, expected):
        return "images of a batch, or pixels of an image, share their noise"
    if _off(seen, expected):
        return (
            "the maps differ from call to call more or less than means over `samples`"
            " copies with noise of their own do"
        )
    return ""


def _off(seen, expected: Statistic) -> bool:
    if not isinstance(seen, torch.Tensor) or seen.shape != expected.mean.shape:
        return True
    return not bool(((seen - expected.mean).abs() <= SIGMAS * expected.error).all())
