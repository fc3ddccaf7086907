"""Topic 09, the checks of upsampling, of convolutions turned around, and of counting
pixels."""

from grader.checking import Exercise, Mistake, Property
from grader.checks.promises import promise
from grader.checks.segmentation import (
    cases,
    count_mistakes,
    matrix_mistakes,
    mistakes,
    oracles,
    runs,
)

# values are float64, computed in float64
_EXACT = {"rtol": 1e-9}

_LEFT = "returns a new, detached tensor of the same dtype, and changes nothing"


def _hands_off(points: float, make) -> Property:
    keys = ("out", "graph", "memory", "changed")
    return promise(points, _LEFT, make, *keys, compare=oracles.compare_left_alone)


def _on_tensors(
    name: str, oracle, known: tuple[Mistake, ...], *properties: Property
) -> Exercise:
    return Exercise(
        name=name,
        run=runs.run_function,
        oracle=oracle,
        properties=properties,
        mistakes=known,
    )


unpool_nearest = _on_tensors(
    "unpool_nearest",
    oracles.unpool_nearest,
    mistakes.unpool_nearest,
    promise(
        1.5, "repeats each number in both directions", cases.upsampled, "out", **_EXACT
    ),
    _hands_off(0.5, cases.upsampled_hands_off),
)

bed_of_nails = _on_tensors(
    "bed_of_nails",
    oracles.bed_of_nails,
    mistakes.bed_of_nails,
    promise(1.5, "sets each number among zeros", cases.upsampled, "out", **_EXACT),
    _hands_off(0.5, cases.upsampled_hands_off),
)

max_unpool = _on_tensors(
    "max_unpool",
    oracles.max_unpool,
    mistakes.max_unpool,
    promise(
        1.5, "puts each maximum back in its place", cases.unpooled, "out", **_EXACT
    ),
    promise(
        1,
        "keeps borders that no window reached",
        cases.unpooled_borders,
        "out",
        **_EXACT,
    ),
    _hands_off(0.5, cases.unpooled_hands_off),
)

conv_matrix = _on_tensors(
    "conv_matrix",
    oracles.conv_matrix,
    matrix_mistakes.conv_matrix,
    promise(1, "is right in one dimension", cases.matrix_1d, "out", **_EXACT),
    promise(
        1.25,
        "is right in one dimension, with stride and padding",
        cases.matrix_1d_strided,
        "out",
        **_EXACT,
    ),
    promise(1.5, "is right in two dimensions", cases.matrix_2d, "out", **_EXACT),
    promise(
        1.5,
        "is right in two dimensions, with stride and padding",
        cases.matrix_2d_strided,
        "out",
        **_EXACT,
    ),
    _hands_off(0.75, cases.matrix_hands_off),
)

conv_transpose2d_naive = _on_tensors(
    "conv_transpose2d_naive",
    oracles.conv_transpose,
    matrix_mistakes.conv_transpose2d_naive,
    promise(1.5, "is right with stride 1", cases.transposed, "out", **_EXACT),
    promise(
        1.5, "is right with strides 2 and 3", cases.transposed_strided, "out", **_EXACT
    ),
    promise(1.5, "is right with padding", cases.transposed_padded, "out", **_EXACT),
    _hands_off(0.5, cases.transposed_hands_off),
)

_CONV = ("scores", "number of trainable parameters")

fc_to_conv = Exercise(
    name="fc_to_conv",
    run=runs.run_fc_to_conv,
    oracle=oracles.fc_to_conv,
    properties=(
        promise(1.5, "computes what the layer computes", cases.fc, *_CONV),
        promise(1, "slides over larger images", cases.fc_slid, *_CONV),
        promise(0.5, "takes layers without bias", cases.fc_unbiased, *_CONV),
        promise(
            1,
            "keeps float32, owns its weights, and leaves the layer as it was",
            cases.fc_hands_off,
            *_CONV,
            "memory",
            "changed",
        ),
    ),
    mistakes=matrix_mistakes.fc_to_conv,
)

mean_iou = Exercise(
    name="mean_iou",
    run=runs.run_number,
    oracle=oracles.mean_iou,
    properties=(
        promise(1, "is right where all classes are there", cases.iou, "mean IoU"),
        promise(1.5, "knows classes that are absent", cases.iou_absent, "mean IoU"),
        promise(
            1,
            "leaves out ignored pixels, and changes nothing",
            cases.iou_ignored,
            "mean IoU",
            "changed",
        ),
        promise(0.5, "is nan where nothing is left", cases.iou_nothing, "mean IoU"),
    ),
    mistakes=count_mistakes.mean_iou,
)

class_weights = _on_tensors(
    "class_weights",
    oracles.class_weights,
    count_mistakes.class_weights,
    promise(1, "is right where all classes are there", cases.weights, "out"),
    promise(0.5, "gives absent classes 0", cases.weights_absent, "out"),
    promise(
        0.5,
        "leaves out ignored pixels, and changes nothing",
        cases.weights_ignored,
        "out",
        "changed",
        compare=oracles.compare_left_alone,
    ),
)

pixel_loss = Exercise(
    name="pixel_loss",
    run=runs.run_pixel_loss,
    oracle=oracles.pixel_loss,
    properties=(
        promise(0.75, "is the right mean", cases.loss, "loss", "dscores"),
        promise(0.75, "weighs the classes", cases.loss_weighted, "loss", "dscores"),
        promise(
            0.75, "leaves out ignored pixels", cases.loss_ignored, "loss", "dscores"
        ),
        promise(
            0.5,
            "is finite for large scores",
            cases.loss_extreme,
            "loss",
            "dscores",
            rtol=1e-4,
        ),
        promise(
            0.25,
            "keeps float32, and changes nothing",
            cases.loss_float32,
            "loss",
            "dscores",
            "changed",
        ),
    ),
    mistakes=count_mistakes.pixel_loss,
)
