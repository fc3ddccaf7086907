"""A small course to build: one lecture, one assignment, nothing wrong with either."""

from collections.abc import Callable
from pathlib import Path

import pytest

ASSIGNMENT = '''\
# %% [markdown]
# # Lines by hand
#
# A line needs a slope, and **one** offset.

# %% role="locked"
# %matplotlib inline
import numpy as np

# %% [markdown]
# ## The forward pass
#
# Write `affine(x, w, b)`.


# %% role="solution" grade_id="lines-affine"
def affine(x, w, b):
    """The scores of x."""
    ### BEGIN SOLUTION
    scores_of_the_batch = x @ w
    return scores_of_the_batch + b
    ### END SOLUTION


# %%
assert affine(np.ones((1, 2)), np.ones((2, 3)), np.zeros(3)).shape == (1, 3)

# %% role="tests" grade_id="lines-affine-tests" points=3
# Graded: any number of rows.
### BEGIN HIDDEN TESTS
from grader.checks import lines

lines.affine_is_a_secret(affine)
### END HIDDEN TESTS

# %% [markdown] role="manual" grade_id="lines-why" points=2.5
# Why is there an offset?
#
# ### BEGIN SOLUTION
# Without it each line passes through the origin.
# ### END SOLUTION
'''

LECTURE = """\
# %% [markdown]
# # Lines
#
# What a line is, and why we ask.

# %%
import numpy as np

# %% [markdown]
# ## A slope
#
# Which one is steeper?

# %%
slope = np.array([1.0, 2.0])
slope.max()
"""


@pytest.fixture
def assignment() -> str:
    """The text of a good assignment."""
    return ASSIGNMENT


@pytest.fixture
def lecture() -> str:
    """The text of a good lecture."""
    return LECTURE


@pytest.fixture
def course(tmp_path: Path) -> Callable[..., Path]:
    """Writes a course's texts, the good ones unless told otherwise; its folder."""

    def write(
        texts: dict[str, str | bytes] | None = None,
        *,
        assignment: str = ASSIGNMENT,
        lecture: str = LECTURE,
    ) -> Path:
        root = tmp_path / "course"
        files = {"lectures/01_lines.py": lecture, "assignments/01_lines.py": assignment}
        for place, text in (files | (texts or {})).items():
            path = root / "authoring" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        return root

    return write
