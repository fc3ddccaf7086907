"""Right answers that look unlike the usual ones: collected to sample a class from."""

import inspect
import textwrap
from collections.abc import Callable


def collect_into(answers: dict[str, list[tuple[Callable, ...]]]) -> Callable:
    """Return a decorator that adds what a function returns to ``answers``.

    That is an answer, added under its own name, or a tuple of answers that belong
    together, added under the function's name up to the words after "__".
    """

    def unusual(make: Callable[[], Callable | tuple[Callable, ...]]) -> Callable:
        made = make()
        group = make.__name__.split("__")[0]
        if not isinstance(made, tuple):
            made, group = (made,), made.__name__
        for answer in made:
            # it is indented there, and is not where it will be used
            answer.__edited_source__ = textwrap.dedent(inspect.getsource(answer))
        answers.setdefault(group, []).append(made)
        return make

    return unusual
