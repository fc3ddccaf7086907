"""Topic 11, known wrong answers: occlusion."""

from grader.checks.saliency import answers as right
from grader.checks.saliency.map_mistakes import LEFT_IN_EVAL
from grader.mistakes import in_place, table

_PROB = "scores.softmax(dim=1)[0, int(y)]"
_BLOCK = "covered[:, :, top : top + size, left : left + size]"
_SIZES = "rows, columns = (H - size) // stride + 1, (W - size) // stride + 1"

occlusion_map = table(
    right.occlusion_map,
    (
        "score",
        "the score is returned: ask for the probability",
        (_PROB, "scores[0, int(y)]"),
    ),
    (
        "log-probability",
        "the logarithm of the probability is returned: ask for the probability",
        ("softmax", "log_softmax"),
    ),
    (
        "sigmoid",
        "the probability is that of a sigmoid: all classes share one softmax",
        ("scores.softmax(dim=1)", "scores.sigmoid()"),
    ),
    (
        "softmax over the batch",
        "the softmax is taken over the batch: take it over the classes",
        ("softmax(dim=1)", "softmax(dim=0)"),
    ),
    (
        "fall of the probability",
        "the fall of the probability is returned: ask for the probability itself",
        (
            _PROB,
            "(model(x.detach()) .softmax(dim=1) - scores.softmax(dim=1))[0, int(y)]",
        ),
    ),
    (
        "predicted class",
        "the probability is that of the class with the highest score: take y's",
        ("[0, int(y)]", "[0].max()"),
    ),
    (
        "value ignored",
        "blocks are covered with zeros, whatever `value` says",
        (f"{_BLOCK} = value", f"{_BLOCK} = 0"),
    ),
    (
        "value added",
        "the value is added to the block: it takes the place of its pixels",
        (f"{_BLOCK} = value", f"{_BLOCK} += value"),
    ),
    (
        "everything else covered",
        "everything but the block is covered: cover the block",
        (
            f"{_BLOCK} = value",
            f"{_BLOCK} = value; covered = torch.where(covered == x, value, x)",
        ),
    ),
    (
        "last block forgotten",
        "the last block of each row and column is missing: there are"
        " ⌊(H − size) / stride⌋ + 1",
        (_SIZES, "rows, columns = (H - size) // stride, (W - size) // stride"),
    ),
    (
        "blocks over the border",
        "blocks that stick out of the image are counted: take those wholly inside",
        (_SIZES, "rows, columns = -(-H // stride), -(-W // stride)"),
    ),
    (
        "block a pixel too large",
        "blocks are a pixel too large",
        (_BLOCK, "covered[:, :, top : top + size + 1, left : left + size + 1]"),
    ),
    (
        "block centred",
        "blocks are centred on their place: they begin there",
        ("i * stride, j * stride", "max(i * stride - size // 2, 0), j * stride"),
    ),
    (
        "stride ignored",
        "blocks move by one pixel, whatever `stride` says",
        ("i * stride, j * stride", "i, j"),
    ),
    (
        "moved by their size",
        "blocks move by their own size: they move by `stride`",
        ("i * stride, j * stride", "i * size, j * size"),
    ),
    (
        "transposed",
        "rows and columns of the map are swapped",
        ("    return probs", "    return probs.T"),
    ),
    (
        "rows and columns of the block swapped",
        "the block lies at (column, row): i counts rows and j columns",
        ("top, left = i * stride, j * stride", "left, top = i * stride, j * stride"),
    ),
    (
        "first channel",
        "only the first channel is covered: cover all",
        ("covered[:, :, top", "covered[:, :1, top"),
    ),
    (
        "blocks pile up",
        "blocks stay where they were, so that more and more is covered: start from x"
        " each time",
        ("                covered = x.detach().clone()\n", ""),
        ("    with torch", "    covered = x.detach().clone()\n    with torch"),
    ),
    ("in place", in_place("x"), ("x.detach().clone()", "x.detach()")),
    (
        "evaluation mode forgotten",
        "the network is looked at in the mode that it happens to be in: switch to"
        " evaluation mode, and back",
        (", evaluating(model)", ""),
    ),
    LEFT_IN_EVAL,
    (
        "graph attached",
        "the map carries a graph with it: return a detached tensor",
        ("torch.no_grad(), ", ""),
    ),
    (
        "axes of one kept",
        "the map has axes of the batch and the channel: return (rows, columns)",
        ("return probs", "return probs[None, None]"),
    ),
    (
        "float32",
        "the map is float32, whatever x is: give it the dtype of x",
        ("torch.zeros(rows, columns, dtype=x.dtype)", "torch.zeros(rows, columns)"),
    ),
)
