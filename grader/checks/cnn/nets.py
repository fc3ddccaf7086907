"""Topic 04, the checks of sizes and counts, of the ConvNet, its training and its
twin."""

from collections.abc import Callable

from grader.checking import Exercise, Mistake, Property
from grader.checks.backprop.oracles import compare_start
from grader.checks.cnn import (
    cases,
    count_cases,
    count_mistakes,
    net_mistakes,
    oracles,
    runs,
)
from grader.checks.digits import digits_named
from grader.checks.promises import promise


def _whole(points: float, name: str, cases: Callable, *more: str) -> Property:
    keys = ("result", *more)
    return promise(points, name, cases, *keys, compare=oracles.compare_whole)


def _counting(name: str, known: tuple[Mistake, ...], *properties: Property) -> Exercise:
    return Exercise(
        name=name,
        run=runs.run_plain,
        oracle=getattr(oracles, name),
        properties=properties,
        mistakes=known,
    )


conv_output_size = _counting(
    "conv_output_size",
    count_mistakes.conv_output_size,
    _whole(1, "is right for one dimension", count_cases.sizes_1d),
    _whole(0.25, "knows its defaults", count_cases.sizes_default),
    _whole(0.5, "is right with dilation", count_cases.sizes_dilated),
    _whole(0.75, "takes tuples, and returns one", count_cases.sizes_tuples),
    _whole(0.5, "takes ints beside tuples", count_cases.sizes_mixed),
)

receptive_field = _counting(
    "receptive_field",
    count_mistakes.receptive_field,
    _whole(0.5, "is right for layers of stride 1", count_cases.fields_stride_1),
    _whole(0.75, "is right for layers with strides", count_cases.fields_strided),
    _whole(0.5, "is right for dilated layers", count_cases.fields_dilated, "changed"),
    _whole(0.25, "sees 1 pixel without a layer", count_cases.fields_empty),
)

count_parameters = _counting(
    "count_parameters",
    count_mistakes.count_parameters,
    _whole(0.5, "is right for square kernels", count_cases.parameters_square),
    _whole(
        0.5,
        "is right for other kernels, and without bias",
        count_cases.parameters_other,
    ),
)

count_operations = _counting(
    "count_operations",
    count_mistakes.count_operations,
    _whole(
        0.5, "is right for square kernels and outputs", count_cases.operations_square
    ),
    _whole(0.5, "is right for other kernels and outputs", count_cases.operations_other),
)

three_layer_convnet = Exercise(
    name="three_layer_convnet",
    run=runs.run_convnet,
    oracle=oracles.convnet,
    properties=(
        promise(
            0.75,
            "starts as promised",
            cases.convnet_start,
            "beginnings",
            compare=compare_start,
        ),
        promise(
            0.5,
            "has the promised sizes and dtype by default",
            cases.convnet_default,
            "beginnings",
            compare=oracles.compare_default,
        ),
        promise(1, "returns the right scores", cases.convnet, "scores"),
        promise(0.5, "returns the right loss", cases.convnet, "loss"),
        promise(1.25, "returns the right gradients", cases.convnet, "grads"),
        promise(0.5, "regularizes its loss", cases.convnet_regularized, "loss"),
        promise(0.5, "regularizes its gradients", cases.convnet_regularized, "grads"),
        promise(
            0.5,
            "works in float32",
            cases.convnet_float32,
            "scores",
            "loss",
            "grads",
            # a loss that came out as a Python float has no more digits
            rtol=1e-4,
        ),
        promise(
            0.5,
            "leaves X, y and its parameters as they were",
            cases.convnet_regularized,
            "scores",
            "loss",
            "grads",
            "params",
            "changed",
        ),
    ),
    mistakes=net_mistakes.three_layer_convnet,
)

torch_twin = Exercise(
    name="torch_twin",
    run=runs.run_torch_twin,
    oracle=oracles.torch_twin,
    properties=(
        promise(1.5, "returns the right scores", cases.twin, "scores"),
        promise(
            1,
            "can be trained, all of it",
            cases.twin,
            "number of trainable parameters",
            "scores after a step",
        ),
        promise(
            0.5,
            "leaves params as they were, also when it is trained",
            cases.twin,
            "scores after a step",
            "changed",
        ),
    ),
    mistakes=net_mistakes.torch_twin,
)

digits = digits_named("cnn_digits", {0.90: 2, 0.97: 4})
