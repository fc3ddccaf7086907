"""Wrong answers, written as small edits of right ones."""

import functools
import inspect
import linecache
import sys
from collections.abc import Callable

from grader.checking import Mistake

# What a student reads
FLOAT64 = "float32 in gives float64 out: give results the dtype of the input"


def edited(answer: Callable, *edits: tuple[str, str]) -> Callable:
    """Return the function or class ``answer`` with each ``(old, new)`` applied to its
    source, under the same name.

    ``source_of`` gives the edited source, so a wrong answer can be written into a
    notebook. Raises ``ValueError`` unless each ``old`` stands in the source once.
    """
    source = source_of(answer)
    for old, new in edits:
        if source.count(old) != 1:
            where = f"{answer.__module__}.{answer.__qualname__}"
            raise ValueError(
                f"an edit replaces text that stands once, but {old!r} stands"
                f" {source.count(old)} times in {where}"
            )
        source = source.replace(old, new)
    filename = f"<{answer.__name__} with {edits!r}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[filename] = (len(source), None, lines, filename)
    namespace = dict(vars(sys.modules[answer.__module__]))
    exec(compile(source, filename, "exec"), namespace)
    made = namespace[answer.__name__]
    # inspect finds functions in linecache, but looks for a class in its module's file
    made.__edited_source__ = source
    return made


@functools.lru_cache(maxsize=1024)  # to find a class, Python parses its module
def source_of(answer: Callable) -> str:
    """Return the source of a function or class, edited or not."""
    return getattr(answer, "__edited_source__", None) or inspect.getsource(answer)


def table(
    answer: Callable, *rows: tuple, before: tuple[Callable, ...] = ()
) -> tuple[Mistake, ...]:
    """Return mistakes from rows of (name, message, edits…) of one answer.

    ``before`` are right functions that stand before the answer in ``run``.
    """
    return tuple(
        Mistake(name=name, message=message, functions=(*before, edited(answer, *edits)))
        for name, message, *edits in rows
    )


def in_place(thing: str) -> str:
    """Return what a student reads whose code changes ``thing``."""
    return (
        f"your code changes `{thing}` in place: make a new array, and leave what was"
        " given"
    )
