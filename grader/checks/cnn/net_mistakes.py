"""Topic 04, known wrong answers: the ConvNet and its twin."""

from grader.checks.cnn import answers as right
from grader.mistakes import table

_SQUARES = "(W1**2).sum() + (W2**2).sum() + (W3**2).sum()"

three_layer_convnet = table(
    right.ThreeLayerConvNet,
    (
        "no padding",
        "the convolution has no padding: it keeps the size of the image",
        ('"pad": self.pad', '"pad": 0'),
    ),
    (
        "first relu missing",
        "the ReLU behind the convolution is missing",
        ("active, c2 = relu_forward(maps)", "active, c2 = maps, maps"),
        ("relu_backward(dactive, c2)", "dactive"),
    ),
    (
        "second relu missing",
        "the ReLU between the affine layers is missing",
        ("rectified, c5 = relu_forward(hidden)", "rectified, c5 = hidden, hidden"),
        ("relu_backward(drectified, c5)", "drectified"),
    ),
    (
        "relu on the scores",
        "a ReLU is applied to the scores: the last layer is affine",
        (
            "affine_forward(rectified, W3, b3)\n",
            "affine_forward(rectified, W3, b3); scores = np.maximum(scores, 0)\n",
        ),
    ),
    (
        "first relu forgotten on the way back",
        "the way back leaves out the ReLU behind the convolution",
        ("relu_backward(dactive, c2)", "dactive"),
    ),
    (
        "second relu forgotten on the way back",
        "the way back leaves out the ReLU between the affine layers",
        ("relu_backward(drectified, c5)", "drectified"),
    ),
    (
        "average pooling",
        "the maps are averaged: max pooling is asked for",
        (
            "max_pool_forward_naive(active, pool)",
            "avg_pool_forward_naive(active, pool)",
        ),
        ("max_pool_backward_naive(dsmall, c3)", "avg_pool_backward_naive(dsmall, c3)"),
    ),
    (
        "regularization doubled in the loss",
        "the L2 term of the loss lacks its factor 0.5",
        ("0.5 * self.reg", "self.reg"),
    ),
    (
        "regularization missing in the loss",
        "the L2 term is missing in the loss",
        ("loss += 0.5 * self.reg * squares", "loss += 0 * squares"),
    ),
    (
        "first weights not regularized in the loss",
        "the L2 term of the loss leaves out W1",
        (_SQUARES, "(W2**2).sum() + (W3**2).sum()"),
    ),
    (
        "biases regularized in the loss",
        "the L2 term of the loss counts biases, too: weights alone",
        (_SQUARES, f"{_SQUARES} + (b1**2).sum() + (b2**2).sum() + (b3**2).sum()"),
    ),
    (
        "regularization missing in the gradients",
        "the L2 term is missing in the gradients",
        ("+ self.reg * W1", ""),
        ("+ self.reg * W2", ""),
        ("+ self.reg * W3", ""),
    ),
    (
        "regularization of the gradients doubled",
        "the L2 term of the gradients is twice what it should be: the factor 0.5 and"
        " the square cancel",
        ("+ self.reg * W1", "+ 2 * self.reg * W1"),
        ("+ self.reg * W2", "+ 2 * self.reg * W2"),
        ("+ self.reg * W3", "+ 2 * self.reg * W3"),
    ),
    (
        "biases regularized in the gradients",
        "the gradients of the biases have an L2 term: weights alone",
        ('"b1": db1', '"b1": db1 + self.reg * b1'),
        ('"b2": db2', '"b2": db2 + self.reg * b2'),
        ('"b3": db3', '"b3": db3 + self.reg * b3'),
    ),
    (
        "biases forgotten",
        "gradients of biases are missing",
        (', "b3": db3', ""),
    ),
    (
        "gradients swapped",
        "gradients stand under the wrong names",
        ('"b2": db2, "W3": dW3', '"b2": dW3, "W3": db2'),
    ),
    (
        "labels ignored",
        "with labels given, the scores come back: (loss, grads) is promised",
        ("if y is None", "if True"),
    ),
    (
        "gradients averaged again",
        "the gradients are divided by the batch size twice: softmax_loss does it",
        (
            "softmax_loss(scores, y)",
            "softmax_loss(scores, y); dscores = dscores / len(X)",
        ),
    ),
    (
        "parameters updated",
        "loss() changes the parameters: it returns gradients, and an optimizer takes"
        " the step",
        (
            "        return loss, grads",
            "        W3 -= 0.1 * dW3\n        return loss, grads",
        ),
    ),
)

torch_twin = table(
    right.torch_twin,
    (
        "no padding",
        "the convolution has no padding: it keeps the size of the image",
        ("padding=size // 2", "padding=0"),
    ),
    (
        "first relu missing",
        "the ReLU behind the convolution is missing",
        ("padding=size // 2),\n        torch.nn.ReLU(),", "padding=size // 2),"),
    ),
    (
        "second relu missing",
        "the ReLU between the linear layers is missing",
        ("torch.nn.Linear(D, M),\n        torch.nn.ReLU(),", "torch.nn.Linear(D, M),"),
    ),
    (
        "relu on the scores",
        "a ReLU is applied to the scores: the last layer is affine",
        ("torch.nn.Linear(M, K),", "torch.nn.Linear(M, K), torch.nn.ReLU(),"),
    ),
    (
        "probabilities",
        "the twin returns probabilities: scores are asked for",
        ("torch.nn.Linear(M, K),", "torch.nn.Linear(M, K), torch.nn.Softmax(dim=1),"),
    ),
    (
        "average pooling",
        "the maps are averaged: max pooling is asked for",
        ("MaxPool2d", "AvgPool2d"),
    ),
    (
        "weights reshaped, not transposed",
        "the weights of the linear layers are reshaped: nn.Linear keeps (out, in), the"
        " transpose of ours",
        (
            "W2.T, b2, W3.T, b3]",
            "W2.reshape(W2.shape[::-1]), b2, W3.reshape(W3.shape[::-1]), b3]",
        ),
    ),
    (
        "weights not transposed",
        "the weights of the linear layers are not transposed: nn.Linear keeps"
        " (out, in)",
        ("W2.T, b2, W3.T, b3]", "W2, b2, W3, b3]"),
    ),
    (
        "biases forgotten",
        "the biases are not those of params",
        ("b1, W2.T, b2, W3.T, b3]", "0 * b1, W2.T, 0 * b2, W3.T, 0 * b3]"),
    ),
    (
        "memory shared",
        "the twin shares its memory with params, so that training changes them: copy",
        ("torch.tensor(value)", "torch.from_numpy(value)"),
    ),
    (
        "frozen",
        "the parameters of the twin can't be trained: they don't require gradients",
        ("    return twin", "    return twin.requires_grad_(False)"),
    ),
    (
        "flipped",
        "the kernels are flipped: both convolutions are cross-correlations",
        ("values = [W1,", "values = [W1[:, :, ::-1, ::-1].copy(),"),
    ),
)
