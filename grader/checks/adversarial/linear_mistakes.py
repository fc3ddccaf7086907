"""Topic 12, known wrong answers: the linear model."""

from grader.checks.adversarial import answers as right
from grader.mistakes import in_place, table

_ABSOLUTE = "lengths = w.abs()"
_LENGTHS = "(W[label] - W[others]).abs().sum(dim=1)"

linear_margin_drop = table(
    right.linear_margin_drop,
    (
        "signs cancel",
        "the weights are added with their signs, which cancel: the change of each pixel"
        " is chosen so that they don't",
        (_ABSOLUTE, "lengths = w"),
    ),
    (
        "Euclidean length",
        "the drop is that of a step in the direction of w: where each pixel alone may"
        " move by ε, all of them go to the end",
        (_ABSOLUTE, "lengths = w.norm()"),
    ),
    (
        "largest weight alone",
        "the drop is that of one pixel: all of them move",
        (_ABSOLUTE, "lengths = w.abs().max()"),
    ),
    (
        "mean",
        "the weights are averaged: what all pixels change adds up",
        ("lengths.sum()", "lengths.mean()"),
    ),
    ("epsilon forgotten", "ε does not matter to the result", ("epsilon * ", "")),
    (
        "twice",
        "the drop is doubled: pixels move by ε, from where they are",
        ("return epsilon", "return 2 * epsilon"),
    ),
    (
        "negative",
        "the drop comes back negative: it is how far the score falls",
        ("return epsilon", "return -epsilon"),
    ),
    (
        "tensor",
        "a tensor comes back, where a float is promised: `.item()` makes one",
        (".item()", ""),
    ),
    (
        "first axis alone",
        "only one axis of w is added up: w may have any shape",
        ("lengths.sum().item()", "lengths.sum(0).reshape(-1)[0].item()"),
    ),
)

linear_flip_epsilon = table(
    right.linear_flip_epsilon,
    (
        "Euclidean distance",
        "the margin is divided by the Euclidean length: that is how far the border is,"
        " but here each pixel alone may move by ε",
        (_LENGTHS, "(W[label] - W[others]).norm(dim=1)"),
    ),
    (
        "weights of the label alone",
        "the weights of the label's class alone are taken: the other score changes as"
        " well",
        ("(W[label] - W[others])", "W[label].expand_as(W[others])"),
    ),
    (
        "weights of the other alone",
        "the weights of the other class alone are taken: the label's score changes as"
        " well",
        ("(W[label] - W[others])", "W[others]"),
    ),
    (
        "each at its worst",
        "both scores get their own worst image: it is one image that both see",
        (_LENGTHS, "(W[label].abs() + W[others].abs()).sum(dim=1)"),
    ),
    (
        "runner-up alone",
        "only the class with the second largest score is looked at: another one can be"
        " reached sooner",
        (
            "(margins / lengths).min()",
            "(margins / lengths)[margins.argmin()]",
        ),
    ),
    (
        "largest",
        "the largest ε of all classes comes back: the first class that is reached flips"
        " it",
        ("(margins / lengths).min()", "(margins / lengths).max()"),
    ),
    ("bias forgotten", "the bias is forgotten", ("x @ W.T + b", "x @ W.T")),
    (
        "margin alone",
        "the margin comes back: divide by what an ε of 1 takes off",
        ("margins / lengths", "margins"),
    ),
    (
        "negative",
        "an ε below 0 comes back where the label is behind already: it is 0 there",
        (".clamp(min=0)", ""),
    ),
    (
        "absolute margin",
        "where the label is behind, its distance to the front comes back: return 0"
        " there",
        (
            "margins = row[label] - row[others]",
            "margins = (row[label] - row[others]).abs()",
        ),
    ),
    (
        "half",
        "the result is half of what it takes: only one of both scores is seen moving",
        ("(margins / lengths)", "(margins / lengths / 2)"),
    ),
    (
        "signs cancel",
        "the differences of the weights are added with their signs, which cancel",
        (_LENGTHS, "(W[label] - W[others]).sum(dim=1).abs()"),
    ),
    (
        "largest weight alone",
        "the result is that of moving one pixel: all of them move",
        (_LENGTHS, "(W[label] - W[others]).abs().amax(dim=1)"),
    ),
    (
        "one for all",
        "one ε comes back for all images: each has its own",
        (
            "torch.stack(smallest)",
            "torch.stack(smallest).min().expand(len(x)).clone()",
        ),
    ),
    (
        "in place",
        in_place("x"),
        ("    scores = x @ W.T + b\n", "    scores = x @ W.T + b\n    x -= 1\n"),
    ),
)
