"""Wrong answers, written as one-line edits of right ones."""

import inspect
import linecache
from collections.abc import Callable


def edited(function: Callable, *edits: tuple[str, str]) -> Callable:
    """Return ``function`` with each ``(old, new)`` applied to its source, under the
    same name.

    ``inspect.getsource`` gives the edited source, so a wrong answer can be written into
    a notebook. Raises ``ValueError`` unless each ``old`` stands in the source exactly
    once.
    """
    source = inspect.getsource(function)
    for old, new in edits:
        if source.count(old) != 1:
            where = f"{function.__module__}.{function.__qualname__}"
            raise ValueError(
                f"an edit replaces text that stands once, but {old!r} stands"
                f" {source.count(old)} times in {where}"
            )
        source = source.replace(old, new)
    filename = f"<{function.__name__} with {edits!r}>"
    linecache.cache[filename] = (
        len(source),
        None,
        source.splitlines(keepends=True),
        filename,
    )
    namespace = dict(function.__globals__)
    exec(compile(source, filename, "exec"), namespace)
    return namespace[function.__name__]
