"""Topic 11, known wrong answers: the search for a shortcut."""

from grader.checks.saliency import answers as right
from grader.checks.saliency.map_mistakes import EVAL_FORGOTTEN, LEFT_IN_EVAL, POLLUTES
from grader.mistakes import table

_MEAN = "average = maps.mean(dim=0)[None, None]"

find_shortcut = table(
    right.find_shortcut,
    (
        "first image",
        "only the first image is looked at: average over all of them",
        (_MEAN, "average = maps[:1][None]"),
    ),
    (
        "strongest pixel",
        "the strongest pixel is returned: compare blocks of size × size pixels, and"
        " return the corner of one",
        (
            "torch.nn.functional.avg_pool2d(average, size, stride=1)[0, 0]",
            "average[0, 0]",
        ),
    ),
    (
        "row and column swapped",
        "row and column are swapped",
        ("return row, column", "return column, row"),
    ),
    (
        "centre",
        "the centre of the block is returned: return its upper left corner",
        ("return row, column", "return row + size // 2, column + size // 2"),
    ),
    (
        "lower right corner",
        "the lower right corner of the block is returned: return the upper left one",
        ("return row, column", "return row + size - 1, column + size - 1"),
    ),
    (
        "least important block",
        "the block that matters least is returned: return the one that matters most",
        ("blocks.argmax()", "blocks.argmin()"),
    ),
    (
        "flat index split by the image's width",
        "the index among blocks is split by the width of the image: there are fewer"
        " blocks in a row",
        ("blocks.shape[1])", "X.shape[3])"),
    ),
    (
        "network ignored",
        "the block is where the colours of the images tell the label best: what counts"
        " is where the network looks",
        (
            _MEAN,
            "means = torch.stack([X[y == k].mean(dim=0) for k in y.unique()])\n"
            "    average = means.var(dim=0).sum(dim=0)[None, None]",
        ),
    ),
    (
        "gradient of all classes",
        "the scores of all classes are added up, so that what tells them apart cancels:"
        " take the one of the label",
        ("chosen = scores[torch.arange(len(X)), y]", "chosen = scores"),
    ),
    (
        "place in a coarse map",
        "the number of the block is returned: multiply it by the stride",
        ("size, stride=1)", "size, stride=size)"),
    ),
    (
        "floats",
        "row and column are floats: return ints",
        ("return row, column", "return float(row), float(column)"),
    ),
    POLLUTES,
    LEFT_IN_EVAL,
    EVAL_FORGOTTEN,
)
