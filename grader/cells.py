"""What a notebook's cell is for, from nbgrader's marks on it.

A cell is a dict as in the notebook's file, or a node of nbformat.
"""


def is_solution(cell: dict) -> bool:
    """Tell whether the student writes this cell."""
    return bool(marks(cell).get("solution"))


def is_graded(cell: dict) -> bool:
    return bool(marks(cell).get("grade"))


def is_manual(cell: dict) -> bool:
    """Tell whether a person gives the points of this cell."""
    return is_graded(cell) and (is_solution(cell) or cell["cell_type"] != "code")


def is_judged(cell: dict) -> bool:
    """Tell whether the judge runs this cell: the instructor's, and worth points."""
    return is_graded(cell) and not is_manual(cell)


def is_ordinary(cell: dict) -> bool:
    """Tell whether nbgrader leaves this cell to the student."""
    return "nbgrader" not in cell["metadata"]


def grade_id(cell: dict) -> str | None:
    return marks(cell).get("grade_id")


def marks(cell: dict) -> dict:
    """Return what nbgrader says of a cell."""
    return cell["metadata"].get("nbgrader", {})
