"""What the open checks of the assignments share."""

from typing import Any

import numpy as np


def expect(
    name: str, got: Any, wanted: Any, look: str, tolerance: float = 1e-6
) -> None:
    """Raise an ``AssertionError`` that helps, unless ``got`` is what is ``wanted``.

    Both are numbers, arrays or tensors, of equal shape; they may differ by
    ``tolerance``, relative and absolute together. ``name`` says what is compared, and
    ``look`` where a mistake would lie.

    >>> expect("x squared at 3", 9.0, 6.0, "the derivative of x squared is 2x")
    Traceback (most recent call last):
        ...
    AssertionError: x squared at 3
      arrived:  9.0
      expected: 6.0
      look at:  the derivative of x squared is 2x
    """
    told = f"{name}\n  arrived:  {{}}\n  expected: {{}}\n  look at:  {look}"
    assert got is not None, told.format("None", "a value: does it end with `return`?")
    on_graph = getattr(got, "requires_grad", False)
    assert not on_graph, told.format("a tensor with its graph", "a detached one")
    got, wanted = _numbers(got), _numbers(wanted)
    shapes = f"shape {got.shape}", f"shape {wanted.shape}"
    assert got.shape == wanted.shape, told.format(*shapes)
    close = np.allclose(got, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
    assert close, told.format(got, wanted)


def _numbers(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
