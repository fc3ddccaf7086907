"""A topic and its hidden checks, as tests see them."""

import copy
import functools
import importlib
import io
import pickle
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch

from grader.checking import Exercise, Trusted
from tests.grader.checks.cells import Cells
from tests.grader.mutation import TimeUp, time_limit

# what one property may take on a mutant that loops for ever; training takes a while
TIME_LIMIT_S, TRAINING_LIMIT_S = 3, 60

SETTING = bool | int | float | str | tuple | None


class StandIn:
    """Stands for a student's class; whatever is asked of it, it answers alike."""

    def __init__(self, answer: Callable):
        self.answer, self.params = answer, {}

    def loss(self, X, y=None):
        return self.answer(X, y)

    def step(self, value):
        return self.answer(value)

    def __call__(self, *arguments):
        return self.answer(*arguments)


def stand_in(name: str, answer: Callable) -> Callable:
    """Return a function of trivial answers, or for a class's name a class of them."""
    if name[0].isupper():
        return lambda *sizes, **settings: StandIn(answer)
    return lambda *arguments, **settings: answer(*arguments)


@dataclass(frozen=True)
class Topic:
    """What the tests need to know of a topic.

    - ``trains``: exercises that train; they take seconds, and are judged by a number;
    - ``unlisted``: others without lists of mistakes and of unusual answers;
    - ``min_mistakes``: how many of them every other exercise names;
    - ``shared``: exercises whose mistakes are those of another one, tried there;
    - ``whole``: exercises that ask for whole numbers, so no message may hold one;
    - ``trivial``: more trivial answers than those below, by name;
    - ``allowed``: the share of points that (exercise, trivial answer) may get, if not
      a tenth;
    - ``stand_in(name, answer)``: what stands for a function or class of that name;
    - ``num_seeds``: how many courses the mistakes and unusual answers are tried in;
    - ``unsettled``: mistakes whose points depend on what else a notebook holds.
    """

    cells: Cells
    trains: Collection[str] = ("digits",)
    unlisted: Collection[str] = ()
    min_mistakes: int = 6
    shared: Mapping[str, str] = field(default_factory=dict)
    whole: Collection[str] = ()
    trivial: Mapping[str, Callable] = field(default_factory=dict)
    allowed: Mapping[tuple[str, str], float] = field(default_factory=dict)
    stand_in: Callable[[str, Callable], Any] = stand_in
    num_seeds: int = 2
    unsettled: Collection[str] = ()

    @functools.cached_property
    def calls(self) -> list[tuple[str, float, str, list[str]]]:
        return self.cells.graded_calls()

    @functools.cached_property
    def arguments(self) -> dict[str, list[str]]:
        return {exercise: arguments for _, _, exercise, arguments in self.calls}

    @functools.cached_property
    def exercises(self) -> dict[str, Exercise]:
        checks = self.part("grader.checks.{}")
        return {exercise: getattr(checks, exercise) for exercise in self.arguments}

    @functools.cached_property
    def solved(self) -> dict:
        return self.cells.namespace()

    @functools.cached_property
    def released(self) -> dict:
        return self.cells.namespace(released=True)

    def part(self, module: str) -> Any:
        return importlib.import_module(module.format(self.cells.topic))

    def answers(self, exercise: str, names: dict | None = None) -> list:
        """The arguments of the graded call: the solution's, or those in ``names``."""
        names = self.solved if names is None else names
        return [names[argument] for argument in self.arguments[exercise]]

    def compact(self, exercise: str) -> list:
        """The compact right answers that the mistakes are edits of."""
        return self.answers(exercise, vars(self.part("grader.checks.{}.answers")))

    # topics live as long as their tests
    @functools.cache  # noqa: B019
    def scorer(self, exercise: str) -> Exercise:
        """The exercise without recognising mistakes, with an oracle that remembers and
        cases that are drawn once: these take most of the time, and change no score."""
        check, known = _drawn_once(self.exercises[exercise]), {}

        def oracle(**case):
            key = _key(case)
            if key not in known or key is None:
                known[key] = check.oracle(**case)
            return copy.deepcopy(known[key])

        return replace(check, oracle=oracle, mistakes=())

    @functools.cache  # noqa: B019
    def namer(self, exercise: str) -> Exercise:
        """The exercise with recognising mistakes, each of which is run once for all."""
        check, known = self.scorer(exercise), {}

        class Remembering(type(check)):
            def _observe(self, functions, case):
                key = tuple(functions), _key(case)
                if key not in known or key[1] is None:
                    known[key] = super()._observe(functions, case)
                return known[key]

        parts = {field.name: getattr(check, field.name) for field in fields(check)}
        return Remembering(**parts | {"mistakes": self.exercises[exercise].mistakes})

    def catches(self, names: dict, function: str) -> bool:
        """Tell whether some check that takes the function, as it is among ``names``,
        takes points off."""
        return any(
            self._loses(check, self.answers(exercise, names))
            for exercise, arguments in self.arguments.items()
            if function in arguments
            for check in self._parts(exercise)
        )

    def _parts(self, exercise: str) -> Iterator[Exercise]:
        """The check, property by property: most wrong answers fall at once."""
        check = self.scorer(exercise)
        # what is timed takes longest
        for prop in sorted(check.properties, key=lambda prop: bool(prop.hint)):
            yield replace(check, properties=(prop,))

    def _loses(self, check: Exercise, functions: list) -> bool:
        limit = TRAINING_LIMIT_S if check.name in self.trains else TIME_LIMIT_S
        try:
            with time_limit(limit):
                return check(*functions).score < check.points
        except TimeUp:
            return True

    def __hash__(self) -> int:
        return id(self)


def _drawn_once(check: Exercise) -> Exercise:
    """The exercise with cases that are drawn once for each seed."""

    def once(cases: Callable) -> Callable:
        known: dict = {}

        def drawn(rng):
            state = repr(rng.bit_generator.state)
            if state not in known:
                known[state] = cases(rng)
            return known[state]

        return drawn

    by = {prop.cases: once(prop.cases) for prop in check.properties}
    properties = (replace(prop, cases=by[prop.cases]) for prop in check.properties)
    return replace(check, properties=tuple(properties))


class _Pickler(pickle.Pickler):
    """Makes equal bytes of equal tensors and models, which PyTorch's way does not."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return tuple, ((value.detach().numpy(), value.requires_grad),)
        if isinstance(value, torch.nn.Module):
            return tuple, (list(map(_parts_of, value.modules())),)
        if isinstance(value, Trusted):
            return tuple, ((value.build.__qualname__, value.arguments, value.model),)
        return NotImplemented


def _parts_of(module: torch.nn.Module) -> tuple:
    """The kind of a module, its own tensors and settings."""
    own = vars(module)
    tensors = [own["_parameters"], own["_buffers"]]
    settings = {k: v for k, v in own.items() if isinstance(v, SETTING)}
    return type(module).__qualname__, tensors, settings


def _key(case: dict) -> bytes | None:
    """Bytes that stand for a case; None for one that pickle doesn't take."""
    file = io.BytesIO()
    try:
        _Pickler(file).dump(case)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return file.getvalue()
