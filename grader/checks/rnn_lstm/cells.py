"""Topic 07, the checks of steps and sequences, of the RNN and of the LSTM."""

from grader.checking import Exercise
from grader.checks.promises import HANDS_OFF, promise
from grader.checks.rnn_lstm import (
    cases,
    oracles,
    runs,
    sequence_mistakes,
    step_mistakes,
)

_LEFT = "leaves its upstream gradient and the cache as they were"

_AGAIN = ("result of a second call", "changed")

_LONG = "is right over 250 steps"

_SATURATED = "is right, without warnings, where all is saturated"

_TRUTHS = {
    1: (cases.steps(1), cases.steps_saturated(1), cases.steps_float32(1)),
    4: (cases.steps(4), cases.steps_saturated(4), cases.steps_float32(4)),
}
_SEQUENCES = {
    1: (cases.sequences(1), cases.sequences_long(1), cases.sequences_float32(1)),
    4: (cases.sequences(4), cases.sequences_long(4), cases.sequences_float32(4)),
}


def _step_forward(name, gates, points):
    plain, saturated, small = _TRUTHS[gates]
    outs = ("next_h", "next_c")[: 1 + (gates == 4)]
    *each, extreme, hands_off = points
    return Exercise(
        name=name,
        run=getattr(runs, f"run_{name}"),
        oracle=getattr(oracles, name),
        properties=(
            *(
                promise(p, f"returns the right `{out}`", plain, out)
                for p, out in zip(each, outs, strict=True)
            ),
            promise(extreme, _SATURATED, saturated, *outs, "warnings"),
            promise(hands_off, HANDS_OFF, small, *outs, "changed"),
        ),
        mistakes=getattr(step_mistakes, name),
    )


def _step_backward(name, gates, points):
    plain, saturated, small = map(cases.with_step_grads, _TRUTHS[gates])
    grads = ("dx", "dprev_h", *["dprev_c"] * (gates == 4), "dWx", "dWh", "db")
    *each, extreme, float32, left = points
    return Exercise(
        name=name,
        run=getattr(runs, f"run_{name}"),
        oracle=getattr(oracles, name),
        properties=(
            *(
                promise(p, f"returns the right `{grad}`", plain, grad)
                for p, grad in zip(each, grads, strict=True)
            ),
            # float32 knows 1 - h² of a saturated h to few digits
            promise(extreme, _SATURATED, saturated, *grads, "warnings", rtol=1e-3),
            promise(float32, "keeps float32", small, *grads),
            promise(left, _LEFT, plain, *grads, "what forward got", *_AGAIN),
        ),
        mistakes=getattr(step_mistakes, name),
    )


def _forward(name, gates, points):
    plain, long, small = _SEQUENCES[gates]
    return Exercise(
        name=name,
        run=runs.run_sequence_forward,
        oracle=oracles.sequence_forward,
        properties=(
            promise(points[0], "returns the right states, step by step", plain, "h"),
            promise(points[1], _LONG, long, "h"),
            promise(points[2], HANDS_OFF, small, "h", "changed"),
        ),
        mistakes=getattr(sequence_mistakes, name),
    )


def _backward(name, gates, points):
    plain, long, small = map(cases.with_sequence_grads, _SEQUENCES[gates])
    grads = ("dx", "dh0", "dWx", "dWh", "db")
    *each, far, float32, left = points
    return Exercise(
        name=name,
        run=runs.run_sequence_backward,
        oracle=oracles.sequence_backward,
        properties=(
            *(
                promise(p, f"returns the right `{grad}`", plain, grad)
                for p, grad in zip(each, grads, strict=True)
            ),
            promise(far, _LONG, long, *grads),
            promise(float32, "keeps float32", small, *grads),
            promise(left, _LEFT, plain, *grads, "what forward got", *_AGAIN),
        ),
        mistakes=getattr(sequence_mistakes, name),
    )


rnn_step_forward = _step_forward("rnn_step_forward", 1, (1, 0.5, 0.5))
rnn_step_backward = _step_backward(
    "rnn_step_backward", 1, (0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25)
)
rnn_forward = _forward("rnn_forward", 1, (1, 0.5, 0.5))
rnn_backward = _backward(
    "rnn_backward", 1, (0.75, 0.5, 0.5, 0.75, 0.25, 0.5, 0.25, 0.5)
)
lstm_step_forward = _step_forward("lstm_step_forward", 4, (1, 0.75, 0.75, 0.5))
lstm_step_backward = _step_backward(
    "lstm_step_backward", 4, (0.75, 0.75, 1, 0.75, 0.75, 0.5, 0.5, 0.5, 0.5)
)
lstm_forward = _forward("lstm_forward", 4, (1, 0.5, 0.5))
lstm_backward = _backward("lstm_backward", 4, (1, 0.75, 0.75, 1, 0.25, 0.5, 0.25, 0.5))
