"""Numbers that belong to one student: drawn from the student's id, the same every
time."""

import getpass
import hashlib
import os

import numpy as np


def current_student() -> str:
    """Return the student's name: the user's here, or the one whose work is being
    graded.

    A JupyterHub's user name goes before the computer's; where there is none, it is
    ``"me"``.
    """
    for variable in ("FOVEA_STUDENT", "JUPYTERHUB_USER"):
        if os.environ.get(variable, "").strip():
            return os.environ[variable]
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "me"


def personal_rng(student: str, exercise: str) -> np.random.Generator:
    """Return a random generator that depends on the student and the exercise alone.

    >>> a, b = personal_rng("ada", "graph"), personal_rng("ada", "graph")
    >>> bool(a.integers(1000) == b.integers(1000))
    True
    """
    if not isinstance(student, str) or not student.strip():
        raise ValueError(f"student must be a name, such as 'ada', but is {student!r}")
    digest = hashlib.sha256(f"{student.strip()}\n{exercise}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
