"""Topic 09, segmentation: the hidden checks, one exercise for each graded cell."""

from grader.checks.segmentation.maps import (
    bed_of_nails,
    class_weights,
    conv_matrix,
    conv_transpose2d_naive,
    fc_to_conv,
    max_unpool,
    mean_iou,
    pixel_loss,
    unpool_nearest,
)
from grader.checks.segmentation.nets import segnet, unet
from grader.checks.segmentation.scenes import segment

__all__ = [
    "unpool_nearest",
    "bed_of_nails",
    "max_unpool",
    "conv_matrix",
    "conv_transpose2d_naive",
    "fc_to_conv",
    "segnet",
    "unet",
    "mean_iou",
    "class_weights",
    "pixel_loss",
    "segment",
]
