"""Topic 04, convolution and pooling: the hidden checks, one exercise for each graded
cell."""

from grader.checks.cnn.layers import (
    avg_pool_backward_naive,
    avg_pool_forward_naive,
    conv1x1,
    conv_backward_im2col,
    conv_backward_naive,
    conv_forward_im2col,
    conv_forward_naive,
    filter2d,
    max_pool_backward_naive,
    max_pool_forward_naive,
)
from grader.checks.cnn.nets import (
    conv_output_size,
    count_operations,
    count_parameters,
    digits,
    receptive_field,
    three_layer_convnet,
    torch_twin,
)

__all__ = [
    "filter2d",
    "conv_output_size",
    "conv_forward_naive",
    "conv_backward_naive",
    "max_pool_forward_naive",
    "max_pool_backward_naive",
    "avg_pool_forward_naive",
    "avg_pool_backward_naive",
    "conv_forward_im2col",
    "conv_backward_im2col",
    "conv1x1",
    "receptive_field",
    "count_parameters",
    "count_operations",
    "three_layer_convnet",
    "torch_twin",
    "digits",
]
