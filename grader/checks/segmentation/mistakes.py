"""Topic 09, known wrong answers: upsampling."""

from grader.checks.segmentation import answers as right
from grader.mistakes import in_place, table

GRAPH = (
    "the result carries the graph of what was given: detach it, or compute under"
    " torch.no_grad()"
)
FLOAT32 = "the result is float32 whatever was given: give it the dtype of the input"
FLOAT64 = "the result is float64 whatever was given: give it the dtype of the input"
_SWAPPED = "height and width of the result are swapped"

_DETACHED = ("    x = x.detach()\n", "")

unpool_nearest = table(
    right.unpool_nearest,
    (
        "rows alone",
        "only the rows are repeated: repeat the columns, too",
        ("tall.repeat_interleave(factor, dim=3)", "tall"),
    ),
    (
        "columns alone",
        "only the columns are repeated: repeat the rows, too",
        ("x.repeat_interleave(factor, dim=2)", "x"),
    ),
    (
        "tiled",
        "the whole map is laid side by side: each number has to become a block",
        ("x.repeat_interleave(factor, dim=2)", "x.repeat(1, 1, factor, factor)"),
        ("tall.repeat_interleave(factor, dim=3)", "tall"),
    ),
    (
        "factor 2 always",
        "the factor is taken for 2, whatever it is",
        ("    x = x.detach()\n", "    x, factor = x.detach(), 2\n"),
    ),
    (
        "bilinear",
        "numbers between the given ones come out: nearest means that each is repeated",
        ("    tall = x", "    import torch.nn.functional as F\n    tall = x"),
        (
            "tall.repeat_interleave(factor, dim=3)",
            'F.interpolate(x, scale_factor=factor, mode="bilinear")',
        ),
    ),
    (
        "shared out",
        "each number is divided among its block: every entry is the number itself",
        ("x = x.detach()", "x = x.detach() / factor**2"),
    ),
    (
        "bed of nails",
        "the new places hold zeros: that is a bed of nails",
        (
            "    tall = x.repeat_interleave(factor, dim=2)\n"
            "    return tall.repeat_interleave(factor, dim=3)",
            "    return bed_of_nails(x, factor)",
        ),
    ),
    ("swapped", _SWAPPED, ("dim=3)", "dim=3).swapaxes(2, 3)")),
    ("graph", GRAPH, _DETACHED),
    ("float64", FLOAT64, ("x = x.detach()", "x = x.detach().double()")),
)

bed_of_nails = table(
    right.bed_of_nails,
    (
        "lower right",
        "the nails stand in the lower right corners: upper left is asked for",
        (
            "[:, :, ::factor, ::factor]",
            "[:, :, factor - 1 :: factor, factor - 1 :: factor]",
        ),
    ),
    (
        "upper right",
        "the nails stand in the upper right corners: upper left is asked for",
        ("[:, :, ::factor, ::factor]", "[:, :, ::factor, factor - 1 :: factor]"),
    ),
    (
        "lower left",
        "the nails stand in the lower left corners: upper left is asked for",
        ("[:, :, ::factor, ::factor]", "[:, :, factor - 1 :: factor, ::factor]"),
    ),
    (
        "in the middle",
        "the nails stand in the middle of their blocks: upper left is asked for",
        (
            "[:, :, ::factor, ::factor]",
            "[:, :, factor // 2 :: factor, factor // 2 :: factor]",
        ),
    ),
    (
        "repeated",
        "the numbers are repeated: all but the upper left of a block is 0",
        (
            "    out[:, :, ::factor, ::factor] = x\n    return out",
            "    return unpool_nearest(x, factor)",
        ),
    ),
    (
        "factor 2 always",
        "the factor is taken for 2, whatever it is",
        ("    x = x.detach()\n", "    x, factor = x.detach(), 2\n"),
    ),
    (
        "ones",
        "the new places hold ones: zeros are asked for",
        ("new_zeros", "new_ones"),
    ),
    (
        "bunched",
        "all numbers stand together in the corner of the map: each has a block of its"
        " own",
        ("out[:, :, ::factor, ::factor]", "out[:, :, :H, :W]"),
    ),
    ("swapped", _SWAPPED, ("    return out", "    return out.swapaxes(2, 3)")),
    (
        "graph",
        GRAPH,
        _DETACHED,
    ),
    (
        "float32",
        FLOAT32,
        (
            "x.new_zeros(N, C, factor * H, factor * W)",
            "torch.zeros(N, C, factor * H, factor * W)",
        ),
    ),
)

max_unpool = table(
    right.max_unpool,
    (
        "rows and columns mixed up",
        "the indices are read column by column: they count row by row",
        ("indices.flatten(2)", "(indices % W * H + indices // W).flatten(2)"),
    ),
    (
        "indices of the small map",
        "the maxima stay in the order of the small map: their indices say where they"
        " belong",
        ("indices.flatten(2)", "torch.arange(x[0, 0].numel()).expand_as(x.flatten(2))"),
    ),
    (
        "upper left corners",
        "the maxima stand in the corners of their windows: their indices say where in"
        " the window they belong",
        (
            "indices.flatten(2)",
            "(torch.arange(x.shape[2])[:, None] * (H // x.shape[2]) * W"
            " + torch.arange(x.shape[3]) * (W // x.shape[3]))"
            ".expand_as(x).flatten(2)",
        ),
    ),
    (
        "first channel's indices",
        "all channels use the indices of the first one: each has its own",
        ("indices.flatten(2)", "indices[:, :1].expand_as(x).flatten(2)"),
    ),
    (
        "first image's indices",
        "all images use the indices of the first one: each has its own",
        ("indices.flatten(2)", "indices[:1].expand_as(x).flatten(2)"),
    ),
    (
        "size of the windows that fit",
        "the border that no window reached is lost: `size` is the size of the result",
        (
            "    return out.reshape(N, C, H, W)",
            "    h, w = H // x.shape[2] * x.shape[2], W // x.shape[3] * x.shape[3]\n"
            "    return out.reshape(N, C, H, W)[:, :, :h, :w]",
        ),
    ),
    (
        "size swapped",
        "height and width of `size` are swapped",
        ("H, W = size", "W, H = size"),
    ),
    (
        "filled with means",
        "the other places hold something: zeros are asked for",
        ("x.new_zeros(N, C, H * W)", "x.mean().expand(N, C, H * W).clone()"),
    ),
    (
        "indices written",
        "the indices come out: the maxima belong there",
        ("x.flatten(2))", "indices.flatten(2).to(x.dtype))"),
    ),
    ("graph", GRAPH, _DETACHED),
    (
        "float32",
        FLOAT32,
        ("x.new_zeros(N, C, H * W)", "torch.zeros(N, C, H * W)"),
        ("x.flatten(2))", "x.float().flatten(2))"),
    ),
    (
        "indices in place",
        in_place("indices"),
        ("    return out", "    indices += 1\n    return out"),
    ),
)
