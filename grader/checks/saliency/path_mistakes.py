"""Topic 11, known wrong answers: integrated gradients."""

from grader.checks.saliency import answers as right
from grader.checks.saliency.map_mistakes import CLEARS, LEFT_IN_EVAL, POLLUTES, _rows
from grader.mistakes import in_place, table

_RETURN = "return way * total / steps"

integrated_gradients = table(
    right.integrated_gradients,
    *_rows("x"),
    (
        "another default",
        "the default of `steps` is another one: 50",
        ("steps=50", "steps=10"),
    ),
    (
        "difference forgotten",
        "the factor x − baseline is missing",
        (_RETURN, "return total / steps"),
    ),
    (
        "times the input",
        "the mean gradient is multiplied by x: the factor is x − baseline",
        (_RETURN, "return x.detach() * total / steps"),
    ),
    (
        "baseline ignored",
        "the baseline is taken for zero everywhere: the path starts at the given one",
        ("baseline.detach().expand_as(x)", "torch.zeros_like(x).detach()"),
    ),
    (
        "path from zero",
        "the path starts at zero: it starts at the baseline",
        ("(start + share * way)", "(share * x.detach())"),
    ),
    (
        "gradient at the image alone",
        "the gradient is taken at x alone: take its mean along the path from the"
        " baseline",
        ("(start + share * way)", "(start + way)"),
    ),
    (
        "gradient at the baseline alone",
        "the gradient is taken at the baseline alone: take its mean along the path",
        ("(start + share * way)", "(start + 0 * way)"),
    ),
    (
        "gradient in the middle",
        "the gradient is taken in the middle of the path alone: take its mean along all"
        " of it",
        ("(start + share * way)", "(start + 0.5 * way)"),
    ),
    (
        "beyond the image",
        "the path does not begin at the baseline and end at x: shares run from 0 to 1",
        ("(start + share * way)", "(x.detach() + share * way)"),
    ),
    (
        "not averaged",
        "the gradients are added up: divide by their number",
        (_RETURN, "return way * total"),
    ),
    (
        "opposite sign",
        "the sign is the opposite: the factor is x − baseline",
        (_RETURN, "return -way * total / steps"),
    ),
    (
        "magnitudes",
        "the result has lost its sign: integrated gradients are signed",
        (_RETURN, "return (way * total / steps).abs()"),
    ),
    (
        "magnitudes along the path",
        "magnitudes of gradients are averaged: integrated gradients are signed",
        ("total = total + grads", "total = total + grads.abs()"),
    ),
    (
        "maximum over channels",
        "the maximum over channels is returned: the result is shaped like x",
        (_RETURN, "return (way * total / steps).abs().amax(dim=1)"),
    ),
    (
        "sum over channels",
        "the sum over channels is returned: the result is shaped like x",
        (_RETURN, "return (way * total / steps).sum(dim=1)"),
    ),
    (
        "steps ignored",
        "five steps are taken, whatever `steps` says",
        ("    start =", "    steps = 5\n    start ="),
    ),
    (
        "baseline of the first image",
        "the baseline of the first image is used for all: each image may have its own",
        (".expand_as(x)", ".expand_as(x)[:1].expand_as(x)"),
    ),
    (
        "baseline not broadcast",
        "a baseline that is smaller than x is not broadcast to its shape",
        ("baseline.detach().expand_as(x)", "baseline.detach().view_as(x)"),
    ),
    LEFT_IN_EVAL,
    POLLUTES,
    CLEARS,
    (
        "in place",
        in_place("x"),
        ("    total = torch", "    x += 1\n    total = torch"),
    ),
    (
        "graph attached",
        "the result carries a graph with it: return detached tensors",
        ("way = x.detach() - start", "way = x - start"),
        ("(start + share * way)", "(start + share * way.detach())"),
    ),
    (
        "squeezed",
        "squeeze() drops axes that happen to be 1 long: the result is shaped like x",
        (_RETURN, "return (way * total / steps).squeeze()"),
    ),
    (
        "float64",
        "float32 in gives float64 out: give results the dtype of the input",
        (_RETURN, "return way.double() * total / steps"),
    ),
)
