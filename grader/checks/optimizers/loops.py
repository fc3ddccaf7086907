"""Topic 02, the checks of minibatches, walks, schedules, and of what trains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grader.checking import Exercise, StudentError
from grader.checks.digits import digits_named
from grader.checks.optimizers import (
    cases,
    oracles,
    runs,
    schedule_mistakes,
    train_mistakes,
)
from grader.checks.optimizers import loop_mistakes as mistakes
from grader.checks.promises import promise


@dataclass(frozen=True, kw_only=True)
class SummedUp(Exercise):
    """An exercise whose right answers differ, as they draw their own random numbers.

    What is compared with the oracle is ``facts(seen, **case)``, found on this side.
    """

    facts: Callable[..., dict[str, Any]]

    def _looked_at(self, seen: Any, case: dict[str, Any]) -> Any:
        if isinstance(seen, StudentError):
            return seen
        # what came back may be of any form
        try:
            return self.facts(seen, **case)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            words = "what came back does not have the promised form"
            return StudentError("TypeError", words)


_ONCE = ("samples", "samples with their labels")

minibatches = SummedUp(
    name="minibatches",
    run=runs.run_minibatches,
    oracle=oracles.minibatches,
    facts=oracles.facts_of_batches,
    properties=(
        promise(
            1,
            "hands out each sample once, with its label",
            cases.batches,
            *_ONCE,
            hint="Count how often each sample comes, and with which label.",
        ),
        promise(
            1,
            "makes batches of the right sizes, the short one last",
            cases.batches,
            "sizes",
            hint="Write down all lengths, for ten samples in batches of 4 and of 5.",
        ),
        promise(
            1,
            "shuffles by the generator that it is given",
            cases.batches_shuffled,
            "in random order",
            "another order in each pass",
            "the same order for the same seed",
        ),
        promise(
            0.5,
            "leaves no order of the samples out",
            cases.batches_of_three,
            "orders that come up",
            "samples",
            hint="Are the samples shuffled one by one?",
        ),
        promise(
            0.5,
            "does so for one sample and for float32, and leaves X and y as they were",
            cases.batches_of_one,
            *_ONCE,
            "sizes",
            "dtypes of the batches",
            "changed",
        ),
    ),
    mistakes=mistakes.minibatches,
)

descend = Exercise(
    name="descend",
    run=runs.run_descend,
    oracle=oracles.descend,
    properties=(
        promise(1.25, "returns the path", cases.walks, "path"),
        promise(
            0.25,
            "returns the start where no step is taken",
            cases.walks_short,
            "path",
        ),
        promise(
            0.5, "leaves w and config as they were", cases.walks, "path", "changed"
        ),
    ),
    mistakes=mistakes.descend,
)

step_decay = Exercise(
    name="step_decay",
    run=runs.run_schedule,
    oracle=oracles.step_decay,
    properties=(
        promise(0.5, "returns the right rates", cases.step_decays, "rates"),
        promise(0.5, "obeys drop and every", cases.step_decays_set, "rates"),
    ),
    mistakes=schedule_mistakes.step_decay,
)

exponential_decay = Exercise(
    name="exponential_decay",
    run=runs.run_schedule,
    oracle=oracles.exponential_decay,
    properties=(
        promise(0.5, "returns the right rates", cases.exponential_decays, "rates"),
        promise(
            0.5,
            "does so for any speed and time",
            cases.exponential_decays_far,
            "rates",
        ),
    ),
    mistakes=schedule_mistakes.exponential_decay,
)

reduce_on_plateau = Exercise(
    name="reduce_on_plateau",
    run=runs.run_plateau,
    oracle=oracles.plateau,
    properties=(
        promise(
            1.75,
            "reduces at the right moments",
            cases.plateaus,
            "rates",
            hint="Count by hand, for values that tie and values that improve again.",
        ),
        promise(0.5, "has the promised defaults", cases.plateaus_default, "rates"),
        promise(0.5, "respects min_lr", cases.plateaus_floor, "rates"),
        promise(0.75, "stays right for odd sequences", cases.plateaus_odd, "rates"),
        promise(
            0.5,
            "keeps two schedules apart",
            cases.plateaus_side_by_side,
            "rates",
        ),
    ),
    mistakes=schedule_mistakes.reduce_on_plateau,
)

_LEARNED = ("losses", "params")

train = SummedUp(
    name="train",
    run=runs.run_train,
    oracle=oracles.train,
    facts=oracles.facts_of_training,
    properties=(
        promise(0.75, "trains one parameter", cases.trainings_of_one, *_LEARNED),
        promise(1.25, "keeps a state for each of several", cases.trainings, *_LEARNED),
        promise(
            0.75,
            "shows the net each sample once an epoch",
            cases.trainings,
            *_ONCE,
            "sizes",
            "another order in each epoch",
            "the same order for the same seed",
            hint="Look at which samples net.loss is shown in an epoch.",
        ),
        promise(
            0.75,
            "follows a schedule, and leaves config as it was",
            cases.trainings_scheduled,
            *_LEARNED,
            "changed",
        ),
        promise(
            0.5,
            "leaves X, y and config as they were",
            cases.trainings,
            *_LEARNED,
            "changed",
        ),
    ),
    mistakes=train_mistakes.train,
)

range_test = Exercise(
    name="range_test",
    run=runs.run_range_test,
    oracle=oracles.range_test,
    properties=(
        promise(0.5, "raises the rate by one factor", cases.range_test_rates, "rates"),
        promise(0.75, "returns the right losses", cases.range_tests, "losses"),
        promise(
            0.75,
            "ends where it should",
            cases.range_tests_ended,
            "rates",
            "losses",
            "params",
        ),
        promise(
            1,
            "leaves the net and the batches as they were",
            cases.range_tests,
            "losses",
            "params",
            "changed",
        ),
    ),
    mistakes=train_mistakes.range_test,
)

digits = digits_named("digits", {0.90: 2, 0.97: 4})
