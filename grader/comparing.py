"""How a check compares what it has seen with what it expects, and how it says so."""

import math
from typing import Any

import numpy as np

# what a comparison forgives, relative to the size of the expected array's largest entry
RTOL = {"float64": 1e-7, "float32": 1e-4}


def disagreement(name: str, seen: Any, expected: Any, rtol: float | None = None) -> str:
    """Return in words how ``seen`` differs from ``expected``, or an empty text.

    Kind, shape and dtype are promised by the contract, so the words name them; numbers
    that were expected are never shown. Where a Python float is expected, any real
    number will do.
    """
    if isinstance(expected, dict):
        return _dict_disagreement(name, seen, expected, rtol)
    if isinstance(expected, (list, tuple)):
        if not isinstance(seen, (list, tuple)) or len(seen) != len(expected):
            return f"`{name}` is not what the contract promises"
        pairs = zip(seen, expected, strict=True)
        return next((d for a, b in pairs if (d := disagreement(name, a, b, rtol))), "")
    if isinstance(seen, np.bool_):
        seen = bool(seen)
    if expected is None or isinstance(expected, (bool, str)):
        return (
            ""
            if type(seen) is type(expected) and seen == expected
            else f"`{name}` is not right"
        )
    if isinstance(expected, (int, float)):
        return _number_disagreement(name, seen, float(expected), rtol)
    return _array_disagreement(name, seen, _as_array(expected), rtol)


def _dict_disagreement(name: str, seen: Any, expected: dict, rtol: float | None) -> str:
    if not isinstance(seen, dict):
        return f"`{name}` is a {type(seen).__name__}, where a dict is promised"
    missing = sorted(map(str, expected.keys() - seen.keys()))
    extra = sorted(map(str, seen.keys() - expected.keys()))
    if missing or extra:
        parts = [f"lacks {missing}"] * bool(missing) + [
            f"should not hold {extra}"
        ] * bool(extra)
        return f"`{name}` " + " and ".join(parts)
    keys = expected.keys()
    found = (disagreement(f"{name}[{k!r}]", seen[k], expected[k], rtol) for k in keys)
    return next((d for d in found if d), "")


def _number_disagreement(
    name: str, seen: Any, expected: float, rtol: float | None
) -> str:
    tolerance = rtol or RTOL["float64"]
    # NumPy has no whole numbers beyond 64 bits
    if type(seen) is int and abs(seen) < 2**1023:
        seen = float(seen)
    if type(seen) is not float:
        array = _as_array(seen)
        if array is None or array.shape != () or array.dtype.kind not in "iuf":
            return f"`{name}` is not a single real number"
        tolerance = rtol or RTOL.get(str(array.dtype), RTOL["float64"])
        seen = float(array)
    if not math.isfinite(seen) and math.isfinite(expected):
        return f"`{name}` is not finite"
    # lists hold hundreds of numbers, and NumPy's comparison is made for arrays
    close = (
        seen == expected
        or (math.isnan(seen) and math.isnan(expected))
        or abs(seen - expected) <= tolerance * (1e-3 + abs(expected)) < math.inf
    )
    return "" if close else f"the value of `{name}` is wrong"


def _array_disagreement(name: str, seen: Any, expected: Any, rtol: float | None) -> str:
    kind = type(seen).__name__
    seen = _as_array(seen)
    if seen is None:
        return f"`{name}` is a {kind}, where an array is promised"
    if seen.shape != expected.shape:
        return f"`{name}` has shape {seen.shape}, where {expected.shape} is promised"
    if seen.dtype != expected.dtype:
        return f"`{name}` has dtype {seen.dtype}, where {expected.dtype} is promised"
    if (~np.isfinite(seen) & np.isfinite(expected)).any():
        return f"`{name}` is not finite"
    tolerance = rtol or RTOL.get(str(expected.dtype), 0.0)
    finite = np.abs(expected[np.isfinite(expected)])
    # the floor forgives rounding where all that is expected is zeros
    scale = max(float(finite.max(initial=0.0)), 1e-6)
    close = np.isclose(
        seen, expected, rtol=tolerance, atol=tolerance * scale, equal_nan=True
    )
    return "" if close.all() else f"the values of `{name}` are wrong"


def _as_array(value: Any) -> np.ndarray | None:
    """Return ``value`` as an array if it is one, a tensor or a number; else
    ``None``."""
    if isinstance(value, (np.ndarray, np.generic)) or type(value) in (bool, int, float):
        return np.asarray(value)
    try:
        return value.numpy() if hasattr(value, "numpy") else None
    # of the numbers that PyTorch alone has
    except TypeError:
        return None
