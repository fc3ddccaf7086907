"""Topic 04, the checks of filters, convolutions and pooling."""

from grader.checking import Exercise, Mistake, Property
from grader.checks.cnn import (
    cases,
    mistakes,
    oracles,
    pixel_mistakes,
    pool_mistakes,
    runs,
)
from grader.checks.promises import HANDS_OFF, promise

_LEFT = "leaves dout and the cache as they were"

_AGAIN = ("result of a second call", "changed")

_IN_TIME = "is done in the time that it has"

_LOOPS = (
    "(What is slow in Python are loops over places, images or filters: make each window"
    " a row of one matrix, and multiply once)"
)

filter2d = Exercise(
    name="filter2d",
    run=runs.run_filter2d,
    oracle=oracles.filter2d,
    properties=(
        promise(1.5, "returns the right image for any kernel", cases.filters, "out"),
        promise(0.5, HANDS_OFF, cases.filters_float32, "out", "changed"),
    ),
    mistakes=pixel_mistakes.filter2d,
)


def _conv_forward(
    name: str, known: tuple[Mistake, ...], points: list[float], *extra: Property
) -> Exercise:
    first, second, third, fourth, fifth = points
    return Exercise(
        name=name,
        run=runs.run_conv_forward,
        oracle=oracles.conv_forward,
        properties=(
            promise(first, "is right with padding", cases.conv_padded, "out"),
            promise(second, "is right without padding", cases.conv_unpadded, "out"),
            promise(third, "is right with strides 2 and 3", cases.conv_strided, "out"),
            promise(fourth, "is right with dilation", cases.conv_dilated, "out"),
            promise(fifth, HANDS_OFF, cases.conv_float32, "out", "changed"),
            *extra,
        ),
        mistakes=known,
    )


def _conv_backward(
    name: str, known: tuple[Mistake, ...], points: list[float], *extra: Property
) -> Exercise:
    padded, unpadded, strided, dilated, small = map(
        cases.with_conv_dout,
        (
            cases.conv_padded,
            cases.conv_unpadded,
            cases.conv_strided,
            cases.conv_dilated,
            cases.conv_float32,
        ),
    )
    all_of_it = ("dx", "dw", "db")
    names = (
        ("returns the right `dx` with padding", padded, "dx"),
        ("returns the right `dx` without padding", unpadded, "dx"),
        ("returns the right `dx` with strides 2 and 3", strided, "dx"),
        ("returns the right `dw`", padded, "dw"),
        ("returns the right `dw` with strides 2 and 3", strided, "dw"),
        ("returns the right `db`", padded, "db"),
        ("returns the right gradients with dilation", dilated, *all_of_it),
        ("keeps float32", small, *all_of_it),
        (_LEFT, dilated, *all_of_it, "what forward got", *_AGAIN),
    )
    return Exercise(
        name=name,
        run=runs.run_conv_backward,
        oracle=oracles.conv_backward,
        properties=(
            *(promise(p, *rest) for p, rest in zip(points, names, strict=True)),
            *extra,
        ),
        mistakes=known,
    )


conv_forward_naive = _conv_forward(
    "conv_forward_naive", mistakes.conv_forward_naive, [1.25, 0.75, 1.5, 1, 0.5]
)

conv_backward_naive = _conv_backward(
    "conv_backward_naive",
    mistakes.conv_backward_naive,
    [1, 1, 1, 0.75, 0.5, 0.75, 1, 0.5, 0.5],
)

conv_forward_im2col = _conv_forward(
    "conv_forward_im2col",
    mistakes.conv_forward_im2col,
    [0.5, 0.25, 0.5, 0.5, 0.25],
    promise(1, _IN_TIME, cases.conv_large, "some of out", hint=_LOOPS),
)

conv_backward_im2col = _conv_backward(
    "conv_backward_im2col",
    mistakes.conv_backward_im2col,
    [0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25],
    promise(
        1,
        _IN_TIME,
        cases.with_conv_dout(cases.conv_large),
        "some of dx",
        hint=_LOOPS,
    ),
)

conv1x1 = Exercise(
    name="conv1x1",
    run=runs.run_conv1x1,
    oracle=oracles.conv1x1,
    properties=(
        promise(1.5, "returns the right `out`", cases.conv1x1, "out"),
        promise(0.5, HANDS_OFF, cases.conv1x1_float32, "out", "changed"),
    ),
    mistakes=pixel_mistakes.conv1x1,
)


def _pool_forward(name: str, known: tuple[Mistake, ...], points: list) -> Exercise:
    names = (
        ("is right for windows side by side", cases.pool_apart, "out"),
        ("is right for windows of other forms", cases.pool_not_square, "out"),
        ("is right for windows that overlap", cases.pool_overlapping, "out"),
        (HANDS_OFF, cases.pool_float32, "out", "changed"),
    )
    oracle = getattr(oracles, name.removesuffix("_naive"))
    return Exercise(
        name=name,
        run=runs.run_pool_forward,
        oracle=oracle,
        properties=tuple(
            promise(p, *rest) for p, rest in zip(points, names, strict=True)
        ),
        mistakes=known,
    )


def _pool_backward(
    name: str, known: tuple[Mistake, ...], points: list, *extra: Property
) -> Exercise:
    apart, other, overlapping, small = map(
        cases.with_pool_dout,
        (
            cases.pool_apart,
            cases.pool_not_square,
            cases.pool_overlapping,
            cases.pool_float32,
        ),
    )
    names = (
        ("returns the right `dx` for windows side by side", apart, "dx"),
        ("returns the right `dx` for other windows, and borders", other, "dx"),
        ("returns the right `dx` for windows that overlap", overlapping, "dx"),
        ("keeps float32", small, "dx"),
        (_LEFT, overlapping, "dx", "x", *_AGAIN),
    )
    oracle = getattr(oracles, name.removesuffix("_naive"))
    return Exercise(
        name=name,
        run=runs.run_pool_backward,
        oracle=oracle,
        properties=(
            *(promise(p, *rest) for p, rest in zip(points, names, strict=True)),
            *extra,
        ),
        mistakes=known,
    )


max_pool_forward_naive = _pool_forward(
    "max_pool_forward_naive",
    pool_mistakes.max_pool_forward_naive,
    [0.5, 0.5, 0.5, 0.5],
)

max_pool_backward_naive = _pool_backward(
    "max_pool_backward_naive",
    pool_mistakes.max_pool_backward_naive,
    [0.75, 0.5, 1, 0.25, 0.5],
    promise(
        1,
        "gives what a window sends to its winners once, however many tie",
        cases.pool_tied,
        "dx",
        compare=oracles.compare_ties,
    ),
)

avg_pool_forward_naive = _pool_forward(
    "avg_pool_forward_naive",
    pool_mistakes.avg_pool_forward_naive,
    [0.25, 0.25, 0.25, 0.25],
)

avg_pool_backward_naive = _pool_backward(
    "avg_pool_backward_naive",
    pool_mistakes.avg_pool_backward_naive,
    [0.5, 0.5, 0.5, 0.25, 0.25],
)
