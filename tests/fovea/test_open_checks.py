import numpy as np
import pytest
import torch

from fovea.open_checks import expect


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (2.0, 2),
        ([1.0, 2.0 + 1e-7], np.array([1.0, 2.0])),
        (torch.ones(2, 3), [[1, 1, 1]] * 2),
        ([True, False], np.array([True, False])),
        (float("nan"), np.nan),
        (1e9, 1e9 + 1),
    ],
    ids=["numbers", "nearly", "a tensor", "truth", "nan", "large"],
)
def test_what_is_wanted_passes(got, wanted):
    expect("it", got, wanted, "here")


@pytest.mark.parametrize(
    ("got", "wanted", "words"),
    [
        (None, 1.0, "does it end with `return`"),
        (torch.ones(1, requires_grad=True), [1.0], "a detached one"),
        (np.ones((2, 1)), np.ones(2), "arrived:  shape (2, 1)\n  expected: shape (2,)"),
        (1.0, 1.1, "arrived:  1.0\n  expected: 1.1\n  look at:  here"),
        ([np.nan], [1.0], "arrived:  [nan]"),
        (1.0, 1.0 + 1e-5, "it\n"),
    ],
    ids=["None", "with a graph", "shape", "value", "nan", "a little"],
)
def test_anything_else_is_told_with_where_to_look(got, wanted, words):
    with pytest.raises(AssertionError) as error:
        expect("it", got, wanted, "here")
    assert words in str(error.value)
    assert str(error.value).startswith("it\n")


def test_the_tolerance_can_be_chosen():
    expect("it", 1.0, 1.05, "here", tolerance=0.1)
    with pytest.raises(AssertionError):
        expect("it", 1.0, 1.0 + 1e-12, "here", tolerance=0)
