"""Topic 07, the network with a long memory: how what it did is judged."""

from collections.abc import Callable

import numpy as np

from grader.checks.digits import too_few_right

# what one sequence may leave behind for its next piece
MOST_IN_STATE = 256


def compare_labels(least: float) -> Callable[..., str]:
    """Return a comparison that asks for this share of right labels."""

    def compare(key, seen, expected):
        seen = np.asarray(seen)
        if seen.shape != expected.shape or seen.dtype.kind not in "iu":
            return "the module does not return logits (N, 10) for new sequences"
        return too_few_right(seen, expected, least, "sequences")

    return compare


def compare_pieces(key, seen, expected):
    """Return in words where a sequence read otherwise gives other logits, or ""."""
    if key == "changed":
        return f"your code changes {seen[0]}, which it was given" if seen else ""
    if key == "state":
        few = isinstance(seen, float) and seen <= MOST_IN_STATE
        return "" if few else "the state holds more than 256 numbers for a sequence"
    whole, otherwise = map(np.asarray, seen)
    if whole.shape != otherwise.shape or whole.dtype.kind != "f":
        return f"the logits of a sequence {key} have another shape"
    if not np.isfinite(whole).all():
        return "the logits are not finite"
    scale = max(float(np.abs(whole).max()), 1e-3)
    if np.abs(whole - otherwise).max() > 1e-3 * scale:
        return f"a sequence read {key} gets other logits than among others and whole"
    return ""
