"""Topic 01, the checks of the worksheet, of values, of nets and their training."""

from dataclasses import replace
from typing import Any

from grader.checking import (
    Exercise,
    Mistake,
    Property,
    Report,
    StudentError,
    beside,
    student,
)
from grader.checks.backprop import graph_cases as cases
from grader.checks.backprop import net_mistakes as mistakes
from grader.checks.backprop import oracles, runs, value_mistakes
from grader.checks.digits import digits_named
from grader.checks.promises import promise


class PersonalExercise(Exercise):
    """An exercise whose numbers belong to one student."""

    def __call__(self, worksheet: Any) -> Report:
        named = _name_in(worksheet)
        who = student() or named or "me"
        exercise = replace(
            self,
            oracle=lambda: oracles.worksheet_answers(who),
            mistakes=mistakes.worksheet(who, named),
        )
        return super(PersonalExercise, exercise).__call__(worksheet)


def _name_in(worksheet: Any) -> str | None:
    try:
        name = beside(runs.run_worksheet, (worksheet,), {}).get("student")
    except StudentError:
        return None
    return name if isinstance(name, str) and name.strip() else None


def _once(rng: Any) -> list[dict]:
    return [{}]


worksheet = PersonalExercise(
    name="worksheet",
    run=runs.run_worksheet,
    oracle=dict,
    properties=(
        promise(1, "has the right p, q, r, s", _once, "p", "q", "r", "s"),
        promise(1, "has the right e and L", _once, "e", "L"),
        promise(1, "has the right de, ds, dt", _once, "de", "ds", "dt"),
        promise(1, "has the right dr, dq, dp, db", _once, "dr", "dq", "dp", "db"),
        promise(1, "has the right dw", _once, "dw"),
        promise(1, "has the right dx", _once, "dx"),
    ),
)


def _value_exercise(
    name: str, known: tuple[Mistake, ...], *properties: Property
) -> Exercise:
    return Exercise(
        name=name,
        run=runs.run_value,
        oracle=oracles.value,
        properties=properties,
        mistakes=known,
    )


value_data = _value_exercise(
    "value_data",
    value_mistakes.value_data,
    promise(
        1, "adds, subtracts, multiplies, divides", cases.value_arithmetic(False), "data"
    ),
    promise(
        1, "computes powers, exp, tanh, relu", cases.value_functions(False), "data"
    ),
)

_GRAD = ("data afterwards", "grad")

value_grad = _value_exercise(
    "value_grad",
    value_mistakes.value_grad,
    promise(
        1, "differentiates + - * / and negation", cases.value_arithmetic(True), *_GRAD
    ),
    promise(
        1, "differentiates powers, exp, tanh, relu", cases.value_functions(True), *_GRAD
    ),
    promise(0.5, "follows chains of operations", cases.value_chains, *_GRAD),
    promise(1, "adds up the gradients of reused nodes", cases.value_reused, *_GRAD),
    promise(0.5, "differentiates graphs of any form", cases.value_random, *_GRAD),
)

value_numbers = _value_exercise(
    "value_numbers",
    value_mistakes.value_numbers,
    promise(0.5, "takes plain numbers on either side", cases.value_numbers, "data"),
    promise(0.5, "differentiates them", cases.value_numbers, *_GRAD),
)

value_deep = _value_exercise(
    "value_deep",
    value_mistakes.value_deep,
    promise(0.5, "differentiates 500 operations in a row", cases.value_deep, *_GRAD),
    promise(
        0.5, "visits each node once, however many paths", cases.value_paths, *_GRAD
    ),
)

_plain_net = cases.two_layer(0)

_reg_net = cases.two_layer(0.3)

two_layer_net = Exercise(
    name="two_layer_net",
    run=runs.run_net,
    oracle=oracles.two_layer_net,
    properties=(
        promise(
            0.75,
            "starts as promised",
            cases.two_layer_start,
            "beginnings",
            compare=oracles.compare_start,
        ),
        promise(1, "returns the right scores", _plain_net, "output"),
        promise(0.5, "returns the right loss", _plain_net, "loss"),
        promise(0.75, "returns the right gradients", _plain_net, "grads"),
        promise(0.5, "regularizes its loss", _reg_net, "loss"),
        promise(0.75, "regularizes its gradients", _reg_net, "grads"),
        promise(
            0.75,
            "leaves X, y and its parameters as they were",
            _reg_net,
            "output",
            "loss",
            "grads",
            "params",
            "changed",
        ),
    ),
    mistakes=mistakes.two_layer_net,
)

mario_net = Exercise(
    name="mario_net",
    run=runs.run_net,
    oracle=oracles.mario_net,
    properties=(
        promise(
            0.75,
            "starts as promised",
            cases.mario_start,
            "beginnings",
            compare=oracles.compare_start,
        ),
        promise(0.75, "returns the right predictions", cases.mario, "output"),
        promise(0.75, "returns the right loss", cases.mario, "loss"),
        promise(1.25, "returns the right gradients", cases.mario, "grads"),
        promise(
            0.5,
            "leaves X, y and its parameters as they were",
            cases.mario,
            "output",
            "loss",
            "grads",
            "params",
            "changed",
        ),
    ),
    mistakes=mistakes.mario_net,
)

gradient_descent = Exercise(
    name="gradient_descent",
    run=runs.run_gradient_descent,
    oracle=oracles.gradient_descent,
    properties=(
        promise(
            1, "takes the parameters to the right place", cases.parabolas, "params"
        ),
        promise(0.5, "returns the losses", cases.parabolas, "losses"),
        promise(
            0.5,
            "leaves X and y as they were",
            cases.parabolas,
            "params",
            "losses",
            "changed",
        ),
    ),
    mistakes=mistakes.gradient_descent,
)

digits = digits_named("digits", {0.80: 2, 0.95: 4})
