"""Topic 01, known wrong answers: losses, the judge, values, nets, training."""

from grader.checking import Mistake
from grader.checks import backprop_answers as right
from grader.checks import backprop_oracles as oracles
from grader.checks.backprop_mistakes import FLOAT64, in_place, table

log_softmax = table(
    right.log_softmax,
    (
        "no shift",
        "exp overflows for large scores: take away each row's maximum first",
        ("x - x.max(axis=1, keepdims=True)", "x - 0"),
    ),
    (
        "shift of the whole array",
        "the maximum is taken over the whole array: where a row lies far below it, all of its exponentials become 0. Take each row's own",
        ("axis=1, keepdims=True)\n", ")\n"),
    ),
    (
        "columns",
        "the sum runs over the batch: each row is a softmax of its own",
        ("sum(axis=1", "sum(axis=0"),
    ),
    (
        "whole array",
        "the sum runs over the whole array: each row is a softmax of its own",
        ("sum(axis=1, keepdims=True)", "sum()"),
    ),
    (
        "no sum",
        "the log of the sum is not taken away",
        ("shifted - np.log", "shifted - 0 * np.log"),
    ),
    (
        "probabilities",
        "these are probabilities: their logarithm is asked for",
        ("return out", "return np.exp(out)"),
    ),
    (
        "log of probabilities",
        "the log is taken after the probabilities have become 0: take away the log of the sum instead",
        (
            "shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            "np.log(np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True))",
        ),
    ),
    (
        "epsilon",
        "a small number is added before the log: that changes what is small. Take away the log of the sum instead",
        (
            "shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            "np.log(np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True) + 1e-8)",
        ),
    ),
    (
        "in place",
        in_place("x"),
        (
            "x - x.max(axis=1, keepdims=True)",
            "x; shifted -= x.max(axis=1, keepdims=True)",
        ),
    ),
    ("float64", FLOAT64, ("return out", 'return out.astype("float64")')),
)

_SHIFT = "x - x.max(axis=1, keepdims=True)"

_softmax_rows = (
    (
        "loss summed",
        "your loss is a sum over the batch: divide it by N",
        (".sum() / N", ".sum()"),
    ),
    (
        "loss divided by classes",
        "your loss is a mean over samples and classes: divide by N alone",
        (".sum() / N", ".sum() / x.size"),
    ),
    (
        "loss without minus",
        "your loss has the wrong sign: it is minus the log-probability",
        ("-log_probs[rows, y]", "log_probs[rows, y]"),
    ),
    (
        "loss is a score",
        "your loss lacks the log of the sum: it is minus the shifted score alone",
        ("- np.log(sums)", "+ 0 * sums"),
    ),
    (
        "sum over the batch",
        "the exponentials are summed over the batch: each row is a softmax of its own",
        ("np.exp(shifted).sum(axis=1", "np.exp(shifted).sum(axis=0"),
    ),
    (
        "dx summed",
        "your `dx` is not divided by N: the loss is a mean over the batch",
        ("    dx /= N\n", ""),
    ),
    (
        "dx divided by classes",
        "your `dx` is divided by N and by the number of classes: N alone",
        ("dx /= N", "dx /= x.size"),
    ),
    (
        "dx is p",
        "your `dx` lacks the minus 1 at the true class",
        ("    dx[rows, y] -= 1\n", ""),
    ),
    (
        "dx reversed",
        "your `dx` has the wrong sign: p minus 1 at the true class",
        ("dx /= N", "dx /= -N"),
    ),
    (
        "dx subtracts from whole columns",
        "your `dx` takes 1 from whole columns: `dx[:, y]` is not `dx[arange(N), y]`",
        ("dx[rows, y] -= 1", "dx[:, y] -= 1"),
    ),
    (
        "dx of log-probabilities",
        "your `dx` starts from log-probabilities: it starts from probabilities",
        ("dx = np.exp(log_probs)", "dx = log_probs.copy()"),
    ),
    ("in place", in_place("x"), (_SHIFT, "x; shifted -= x.max(axis=1, keepdims=True)")),
    (
        "float64",
        "`dx` is float64 where x is float32: give it the dtype of x",
        ("return loss, dx", 'return loss, dx.astype("float64")'),
    ),
)

softmax_loss = table(right.softmax_loss, *_softmax_rows)

softmax_loss_stability = table(
    right.softmax_loss,
    (
        "no shift",
        "exp overflows for large scores: take away each row's maximum first",
        (_SHIFT, "x - 0"),
    ),
    (
        "shift of the whole array",
        "the maximum is taken over the whole array: where a row lies far below it, all of its exponentials become 0. Take each row's own",
        (_SHIFT, "x - x.max()"),
    ),
    (
        "log of probabilities",
        "the log is taken after the probabilities have become 0: use shifted scores minus the log of their sum",
        ("shifted - np.log(sums)", "np.log(np.exp(shifted) / sums)"),
    ),
    (
        "epsilon",
        "a small number is added before the log: a loss that should be large is cut off. Use shifted scores minus the log of their sum",
        ("shifted - np.log(sums)", "np.log(np.exp(shifted) / sums + 1e-8)"),
    ),
    (
        "epsilon 1e-12",
        "a small number is added before the log: a loss that should be large is cut off. Use shifted scores minus the log of their sum",
        ("shifted - np.log(sums)", "np.log(np.exp(shifted) / sums + 1e-12)"),
    ),
    (
        "clipped probabilities",
        "probabilities are clipped before the log: a loss that should be large is cut off. Use shifted scores minus the log of their sum",
        ("shifted - np.log(sums)", "np.log((np.exp(shifted) / sums).clip(1e-12, 1))"),
    ),
    (
        "clipped scores",
        "scores are clipped: that changes the loss. Take away each row's maximum instead",
        (_SHIFT, "x.clip(-500, 500)"),
    ),
    *(row for row in _softmax_rows if row[0] != "in place"),
)

svm_loss = table(
    right.svm_loss,
    (
        "pushes counted once",
        "your `dx` pushes the true class once: it is pushed once for every violated margin",
        ("-= dx.sum(axis=1)", "-= dx.any(axis=1)"),
    ),
    (
        "true class not pushed",
        "your `dx` is 0 at the true class: each violated margin pushes it",
        ("    dx[rows, y] -= dx.sum(axis=1)\n", ""),
    ),
    (
        "pushes averaged",
        "your `dx` pushes the true class by a mean over classes: each violated margin counts fully",
        ("dx.sum(axis=1)", "dx.mean(axis=1)"),
    ),
    (
        "dx not averaged",
        "your `dx` is not divided by N: the loss is a mean over the batch",
        ("    dx /= N\n", ""),
    ),
    (
        "dx holds margins",
        "your `dx` holds the margins: its slope is 1 wherever a margin is violated",
        ("(margins > 0).astype(x.dtype)", "margins.copy()"),
    ),
    ("dx reversed", "your `dx` has the wrong sign", ("dx /= N", "dx /= -N")),
    (
        "dx of all classes",
        "your `dx` pushes classes whose margin is met, too",
        ("(margins > 0)", "(margins >= 0)"),
    ),
    (
        "dx ignores the margin",
        "your `dx` pushes only classes that score above the true one: those within the margin count, too",
        ("(margins > 0)", "(margins > 1)"),
    ),
    (
        "true class counted",
        "the true class is counted as a violation of its own margin",
        ("    margins[rows, y] = 0\n", ""),
    ),
    (
        "loss summed",
        "your loss is a sum over the batch: divide it by N",
        ("margins.sum() / N", "margins.sum()"),
    ),
    (
        "loss divided by classes",
        "your loss is a mean over samples and classes: divide by N alone",
        ("margins.sum() / N", "margins.mean()"),
    ),
    (
        "worst class alone",
        "only the worst class of each row counts: all violations do",
        ("margins.sum()", "margins.max(axis=1).sum()"),
    ),
    (
        "squared hinge",
        "your loss squares the margins",
        ("margins.sum()", "(margins**2).sum()"),
    ),
    ("margin 0", "the margin is 0 here: it is 1", ("x - right + 1", "x - right")),
    (
        "margin on the wrong side",
        "the margin is taken away, not added",
        ("x - right + 1", "x - right - 1"),
    ),
    (
        "true minus other",
        "the difference is the wrong way round: other score minus true score",
        ("x - right + 1", "right - x + 1"),
    ),
    (
        "no maximum",
        "margins that are met count as gains: cut them off at 0",
        ("np.maximum(0, x - right + 1)", "x - right + 1"),
    ),
    (
        "in place",
        in_place("x"),
        ("np.maximum(0, x - right + 1)", "np.maximum(0, x - right + 1, out=x)"),
    ),
    (
        "float64",
        "`dx` is float64 where x is float32: give it the dtype of x",
        ("astype(x.dtype)", 'astype("float64")'),
    ),
)

l2_loss = table(
    right.l2_loss,
    (
        "loss halved",
        "your loss has a factor 1/2, which is not asked for",
        ("loss = (off * off)", "loss = 0.5 * (off * off)"),
    ),
    (
        "mean over everything",
        "your loss is a mean over samples and entries: sum over entries, and divide by N alone",
        ("(off * off).sum() / N", "(off * off).mean()"),
    ),
    (
        "loss summed",
        "your loss is a sum over the batch: divide it by N",
        (".sum() / N", ".sum()"),
    ),
    (
        "root",
        "your loss takes the square root",
        ("(off * off).sum() / N", "np.sqrt((off * off).sum()) / N"),
    ),
    (
        "norms",
        "your loss is the mean of distances, where squared distances are asked for",
        ("(off * off).sum() / N", "np.sqrt((off * off).sum(axis=1)).sum() / N"),
    ),
    (
        "absolute",
        "your loss sums absolute values, where squares are asked for",
        ("(off * off)", "abs(off)"),
    ),
    ("dpred halved", "your `dpred` lacks the factor 2", ("2 * off / N", "off / N")),
    (
        "dpred not averaged",
        "your `dpred` is not divided by N: the loss is a mean over the batch",
        ("2 * off / N", "2 * off"),
    ),
    (
        "dpred averaged over everything",
        "your `dpred` is divided by the number of entries: divide by N alone",
        ("2 * off / N", "2 * off / off.size"),
    ),
    (
        "dpred half and not averaged",
        "your `dpred` is the difference alone: it lacks the factor 2/N",
        ("2 * off / N", "1 * off"),
    ),
    (
        "dpred reversed",
        "your `dpred` has the wrong sign: it is with respect to the prediction",
        ("2 * off / N", "-2 * off / N"),
    ),
    (
        "in place",
        in_place("pred"),
        ("off = pred - target", "pred -= target; off = pred"),
    ),
    (
        "float64",
        "`dpred` is float64 where pred is float32: give it the dtype of pred",
        ("2 * off / N", '2 * off.astype("float64") / N'),
    ),
)

numerical_gradient = table(
    right.numerical_gradient,
    (
        "one side",
        "this is a one-sided difference: step to both sides of x",
        ("kept - h", "kept"),
        ("2 * h", "h"),
    ),
    ("not doubled", "the two points are 2h apart: divide by 2h", ("(2 * h)", "h")),
    (
        "half steps",
        "the step is h to each side, not h/2",
        ("kept + h", "kept + h / 2"),
        ("kept - h", "kept - h / 2"),
        ("2 * h", "h"),
    ),
    (
        "own step",
        "the step is not the h that was given",
        ("    grad = np", "    h = 1e-5\n    grad = np"),
    ),
    (
        "sign",
        "the difference is the wrong way round",
        ("above - below", "below - above"),
    ),
    (
        "all at once",
        "all entries move at once: move one at a time",
        ("grad[i] = (above - below)", "grad[i] = (f(x + h) - f(x - h))"),
    ),
    (
        "first axis only",
        "only the first entry along the other axes is moved",
        ("np.ndindex(x.shape)", "[(k, *[0] * (x.ndim - 1)) for k in range(len(x))]"),
    ),
    (
        "rounding left in x",
        "h is added and taken away again, which leaves rounding errors in x: keep the old value, and put that back",
        ("x[i] = kept + h", "x[i] += h"),
        ("x[i] = kept - h", "x[i] -= 2 * h"),
        ("        x[i] = kept\n", "        x[i] += h\n"),
    ),
    (
        "not put back",
        "the entry that was moved is not put back before the next one moves",
        ("        x[i] = kept\n", ""),
    ),
    (
        "flat copy",
        "reshape and ravel copy an x that is scattered in memory, so what you move is not what f sees: index x itself, or work on a copy that you also hand to f",
        (
            "    grad = np.zeros(x.shape)\n",
            "    grad, whole = np.zeros(x.size), x\n    x = x.reshape(-1)\n",
        ),
        ("np.ndindex(x.shape)", "range(x.size)"),
        ("above = f(x)", "above = f(whole)"),
        ("below = f(x)", "below = f(whole)"),
        ("return grad", "return grad.reshape(whole.shape)"),
    ),
    (
        "flat result",
        "the result is flat: give it the shape of x",
        ("return grad", "return grad.ravel()"),
    ),
)

_VALUE = right.Value

value_data = table(
    _VALUE,
    (
        "relu lets through",
        "relu lets negative numbers through",
        ("max(self.data, 0.0)", "self.data"),
    ),
    (
        "difference is a sum",
        "a difference comes out as a sum",
        ("self + -1 * other", "self + other"),
    ),
    (
        "difference reversed",
        "a - b comes out as b - a",
        ("self + -1 * other", "-1 * self + other"),
    ),
    (
        "quotient is a product",
        "a quotient comes out as a product",
        ("self * other**-1", "self * other"),
    ),
    (
        "quotient reversed",
        "a / b comes out as b / a",
        ("return self * other**-1", "return other * self**-1"),
    ),
    (
        "product is a sum",
        "a product comes out as a sum",
        ("Value(self.data * other.data", "Value(self.data + other.data"),
    ),
    (
        "negation missing",
        "negation gives the number as it is",
        ("return self * -1", "return self * 1"),
    ),
    (
        "power is a multiple",
        "a power comes out as a multiple",
        ("Value(self.data**n", "Value(self.data * n"),
    ),
    (
        "power of whole numbers",
        "the exponent is rounded to a whole number",
        ("def __pow__(self, n):\n", "def __pow__(self, n):\n        n = int(n)\n"),
    ),
    (
        "tanh is a sigmoid",
        "tanh comes out as the sigmoid",
        ("float(np.tanh(self.data))", "float(1 / (1 + np.exp(-self.data)))"),
    ),
    (
        "exp with base 2",
        "exp comes out as a power of 2",
        ("float(np.exp(self.data))", "2.0**self.data"),
    ),
    (
        "exp reversed",
        "exp has a minus in its exponent",
        ("np.exp(self.data)", "np.exp(-self.data)"),
    ),
)

value_grad = table(
    _VALUE,
    (
        "equal numbers",
        "nodes with equal numbers are taken for one: tell nodes apart by identity, not by their data",
        ("if node not in seen", "if node.data not in seen"),
        ("seen.add(node)", "seen.add(node.data)"),
    ),
    (
        "gradients overwritten",
        "a gradient is set where it should be added to: a node used twice gets a share from each use",
        ("parent.grad += slope", "parent.grad = slope"),
    ),
    (
        "visited before all users",
        "nodes pass on their gradient before all who use them have delivered theirs: walk in an order in which every node comes after all its users",
        ("                order.append(node)\n", ""),
        (
            "                seen.add(node)\n",
            "                seen.add(node); order.insert(0, node)\n",
        ),
    ),
    (
        "visited once per path",
        "gradients that have been passed on are passed on again when a node is reached by a second path",
        ("if node not in seen:", "if True:"),
    ),
    (
        "output not seeded",
        "the walk starts from gradient 0: the derivative of the output with respect to itself is 1",
        ("        self.grad = 1.0\n        for", "        for"),
    ),
    (
        "one step",
        "the gradient reaches the parents of the output, and goes no further",
        ("for node in reversed(order):", "for node in [self]:"),
    ),
    (
        "slope alone",
        "the slope is not multiplied by the gradient that arrives",
        ("slope * node.grad", "slope"),
    ),
    (
        "product's factors swapped",
        "the derivative of a product with respect to one factor is the other factor",
        (
            "((self, other.data), (other, self.data))",
            "((self, self.data), (other, other.data))",
        ),
    ),
    (
        "difference",
        "the second number of a difference gets the gradient with a minus",
        (
            "self + -1 * other",
            "Value(self.data - (other.data if isinstance(other, Value) else other), ((self, 1.0), (other if isinstance(other, Value) else Value(other), 1.0)))",
        ),
    ),
    (
        "quotient",
        "the derivative of a / b with respect to b is -a / b squared",
        (
            "return self * other**-1",
            "return Value(self.data / other.data, ((self, 1 / other.data), (other, self.data / other.data**2)))",
        ),
    ),
    (
        "power keeps its exponent",
        "the slope of a power has the exponent lowered by one",
        ("(n - 1)", "n"),
    ),
    (
        "power lacks its factor",
        "the slope of a power has the exponent as a factor",
        ("n * self.data **", "self.data **"),
    ),
    (
        "exp's slope",
        "the slope of exp is exp itself",
        ("((self, out),)", "((self, self.data),)"),
    ),
    (
        "exp's slope 1",
        "the slope of exp is exp itself",
        ("((self, out),)", "((self, 1.0),)"),
    ),
    (
        "tanh not squared",
        "the slope of tanh is 1 - tanh squared",
        ("1 - out * out", "1 - out"),
    ),
    (
        "tanh of x",
        "the slope of tanh is 1 - tanh squared, not 1 - x squared",
        ("1 - out * out", "1 - self.data**2"),
    ),
    (
        "relu passes all",
        "relu passes its gradient where x is negative, too",
        ("1.0 * (self.data > 0)", "1.0"),
    ),
)

value_numbers = table(
    _VALUE,
    (
        "difference from a number",
        "the gradient of number - value has a minus",
        ("return other + -1 * self", "return Value(other - self.data, ((self, 1.0),))"),
    ),
    (
        "right-hand quotient",
        "number / value comes out as value / number",
        ("return other * self**-1", "return self / other"),
    ),
    (
        "numbers not wrapped",
        "a plain number on the right is not understood: make a Value of it first",
        (
            "other = other if isinstance(other, Value) else Value(other)\n        return Value(self.data + other.data, (",
            "return Value(self.data + other.data, (",
        ),
    ),
    (
        "no numbers on the left",
        "a plain number on the left is not understood: define __radd__ and its like",
        (
            "    def __radd__(self, other):\n        return self + other\n\n    def __rmul__(self, other):\n        return self * other\n\n    def __rsub__(self, other):\n        return other + -1 * self\n\n    def __rtruediv__(self, other):\n        return other * self**-1\n\n",
            "",
        ),
        ("self + -1 * other", "self + other * -1"),
    ),
    (
        "right-hand difference",
        "number - value comes out as value - number",
        ("return other + -1 * self", "return self - other"),
    ),
    (
        "quotient of a number",
        "the slope of number / value is minus the number over the square",
        (
            "return other * self**-1",
            "return Value(other / self.data, ((self, other / self.data**2),))",
        ),
    ),
    (
        "number's multiple",
        "the slope of number times value is the number",
        (
            "    def __rmul__(self, other):\n        return self * other\n",
            "    def __rmul__(self, other):\n        return Value(self.data * other, ((self, 1.0),))\n",
        ),
    ),
)

value_deep = table(
    _VALUE,
    (
        "a path at a time",
        "backward walks every path by itself: visit each node once, when all who use it have delivered",
        (
            "        self.grad = 1.0\n        for node in reversed(order):\n            for parent, slope in node.parents:\n                parent.grad += slope * node.grad\n",
            "        def send(node, share):\n            node.grad += share\n            for parent, slope in node.parents:\n                send(parent, slope * share)\n\n        send(self, 1.0)\n",
        ),
        ("        visit(self)\n", ""),
    ),
    (
        "two calls per node",
        "the recursion nests two calls per node, and Python stops at 1000 in all: one call per node, or a list of your own in place of recursion",
        (
            "                for parent, _ in node.parents:\n                    visit(parent)\n",
            "                descend(node)\n",
        ),
        (
            "        visit(self)\n",
            "        def descend(node):\n            for parent, _ in node.parents:\n                visit(parent)\n\n        visit(self)\n",
        ),
    ),
    (
        "gradients overwritten",
        "a gradient is set where it should be added to: a node used twice gets a share from each use",
        ("parent.grad += slope", "parent.grad = slope"),
    ),
    (
        "output not seeded",
        "the walk starts from gradient 0: the derivative of the output with respect to itself is 1",
        ("        self.grad = 1.0\n        for", "        for"),
    ),
    (
        "slope alone",
        "the slope is not multiplied by the gradient that arrives",
        ("slope * node.grad", "slope"),
    ),
)

two_layer_net = table(
    right.TwoLayerNet,
    (
        "gradients of earlier calls",
        "gradients of earlier calls are added to those of this one: start each call anew",
        (
            "        return loss, {",
            "        kept = self.__dict__.setdefault('kept', {})\n        made = {",
        ),
        (
            '"b2": db2}\n',
            '"b2": db2}\n        kept.update({n: kept.get(n, 0) + g for n, g in made.items()})\n        return loss, kept\n',
        ),
    ),
    (
        "reg not halved",
        "the regularization in your loss lacks the factor 1/2",
        ("0.5 * self.reg", "self.reg"),
    ),
    (
        "reg missing in loss",
        "the regularization is missing in your loss",
        ("        loss += 0.5 * self.reg * ((W1**2).sum() + (W2**2).sum())\n", ""),
    ),
    (
        "reg missing in gradients",
        "the regularization is missing in your gradients",
        ("        dW1 += self.reg * W1\n        dW2 += self.reg * W2\n", ""),
    ),
    (
        "reg of W2 missing in gradients",
        "the regularization is missing in the gradient of W2",
        ("        dW2 += self.reg * W2\n", ""),
    ),
    (
        "reg of W1 missing in gradients",
        "the regularization is missing in the gradient of W1",
        ("        dW1 += self.reg * W1\n", ""),
    ),
    (
        "reg of W1 alone in loss",
        "the regularization of W2 is missing in your loss",
        (" + (W2**2).sum()", ""),
    ),
    (
        "reg halved in gradients",
        "the regularization in your gradients is halved: the square brings a 2",
        ("dW1 += self.reg", "dW1 += 0.5 * self.reg"),
        ("dW2 += self.reg", "dW2 += 0.5 * self.reg"),
    ),
    (
        "reg doubled in gradients",
        "the regularization in your gradients is doubled: the 1/2 is there to prevent that",
        ("dW1 += self.reg", "dW1 += 2 * self.reg"),
        ("dW2 += self.reg", "dW2 += 2 * self.reg"),
    ),
    (
        "reg of biases",
        "biases are regularized, too: only weights are",
        ("((W1**2).sum()", "((b1**2).sum() + (b2**2).sum() + (W1**2).sum()"),
        (
            "return loss, {",
            "db1 += self.reg * b1; db2 += self.reg * b2; return loss, {",
        ),
    ),
    (
        "reg divided by the batch",
        "the regularization is divided by the batch size",
        ("0.5 * self.reg", "0.5 * self.reg / len(X)"),
    ),
    (
        "no relu",
        "there is no ReLU between the layers",
        (
            "active, cache2 = relu_forward(hidden)",
            "active, cache2 = relu_forward(hidden); active = hidden",
        ),
        ("dhidden = relu_backward(dactive, cache2)", "dhidden = dactive"),
    ),
    (
        "relu forgotten on the way back",
        "the way back leaves out the ReLU",
        ("relu_backward(dactive, cache2)", "dactive"),
    ),
    (
        "relu on scores",
        "a ReLU is applied to the scores",
        (
            "scores, cache3 = affine_forward(active, W2, b2)",
            "scores, cache3 = affine_forward(active, W2, b2); scores = scores.clip(0)",
        ),
    ),
    (
        "probabilities for scores",
        "probabilities come back for scores",
        (
            "return scores",
            "return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)",
        ),
    ),
)

mario_net = table(
    right.MarioNet,
    (
        "weights of the first call",
        "the parameters of an earlier call are used: read them from params in every call",
        (
            "        p = self.params\n",
            "        p = self.__dict__.setdefault('kept', dict(self.params))\n",
        ),
    ),
    (
        "one sigmoid missing",
        "the second sigmoid is missing",
        ("a2, c4 = sigmoid_forward(h2)", "a2, c4 = h2, sigmoid_forward(h2)[1]"),
        ("sigmoid_backward(da2, c4)", "da2"),
    ),
    (
        "sigmoid on the output",
        "a sigmoid is applied to the prediction: the last layer is affine",
        (
            'pred, c5 = affine_forward(a2, p["W3"], p["b3"])',
            'pred, c5 = affine_forward(a2, p["W3"], p["b3"]); pred, c6 = sigmoid_forward(pred)',
        ),
        (
            "affine_backward(dpred, c5)",
            "affine_backward(sigmoid_backward(dpred, c6), c5)",
        ),
    ),
    (
        "first sigmoid forgotten on the way back",
        "the way back leaves out the first sigmoid",
        ("sigmoid_backward(da1, c2)", "da1"),
    ),
    (
        "second sigmoid forgotten on the way back",
        "the way back leaves out the second sigmoid",
        ("sigmoid_backward(da2, c4)", "da2"),
    ),
    (
        "caches swapped",
        "the way back takes the caches of the two sigmoids the wrong way round",
        ("sigmoid_backward(da2, c4)", "sigmoid_backward(da2, c2)"),
        ("sigmoid_backward(da1, c2)", "sigmoid_backward(da1, c4)"),
    ),
    (
        "W2 and W3 swapped",
        "gradients stand under the wrong names",
        ('"W3": dW3, "b3": db3', '"W3": dW2, "b3": db3'),
        ('"W2": dW2', '"W2": dW3'),
    ),
    ("biases forgotten", "gradients of biases are missing", (', "b3": db3', "")),
    (
        "fixed seed",
        "another seed gives the same weights: draw them from the seed",
        ("default_rng(seed)", "default_rng(0)"),
    ),
    (
        "twins",
        "all units start with equal weights, and so stay equal for ever",
        ("rng.normal(size=(H, H))", "np.full((H, H), 0.1)"),
    ),
    (
        "zeros",
        "weights start at 0: all units stay equal for ever",
        ("rng.normal(size=(3, H))", "np.zeros((3, H))"),
    ),
)

gradient_descent = table(
    right.gradient_descent,
    (
        "uphill",
        "the step goes up the gradient: minus is down",
        ("[name] - learning_rate", "[name] + learning_rate"),
    ),
    (
        "first gradient for ever",
        "the gradient of the start is used for all steps: compute it anew in each",
        (
            "    for _ in range(num_steps):\n        loss, grads = net.loss(X, y)\n",
            "    loss, grads = net.loss(X, y)\n    for _ in range(num_steps):\n        loss = net.loss(X, y)[0]\n",
        ),
    ),
    (
        "learning rate missing",
        "the step does not depend on learning_rate",
        ("learning_rate * grad", "grad"),
    ),
    (
        "weights alone",
        "only the first parameter is updated: all are",
        ("grads.items():", "list(grads.items())[:1]:"),
    ),
    (
        "loss after the step",
        "the losses are those after each step: those before it are asked for",
        ("losses.append(loss)", "losses.append(net.loss(X, y)[0])"),
    ),
    ("one step", "only one step is taken", ("range(num_steps)", "range(1)")),
    (
        "one step too many",
        "one step too many is taken",
        ("range(num_steps)", "range(num_steps + 1)"),
    ),
    (
        "one step too few",
        "one step too few is taken",
        ("range(num_steps)", "range(num_steps - 1)"),
    ),
    (
        "last loss",
        "only the last loss comes back: a list of all is asked for",
        ("return losses", "return losses[-1:]"),
    ),
    (
        "nothing returned",
        "the function returns nothing: a list of the losses is asked for",
        ("return losses", "return None"),
    ),
    (
        "other params",
        "the parameters of the net stay as they are: the new ones have to stand in net.params",
        (
            "net.params[name] = net.params[name] - learning_rate * grad",
            "grad = net.params[name] - learning_rate * grad",
        ),
    ),
)

digits: tuple[Mistake, ...] = ()


def worksheet(student: str, named: str | None) -> tuple[Mistake, ...]:
    """Known slips on the numbers of this student, and the numbers of another name."""
    numbers = oracles.worksheet_numbers(student)
    answers = oracles.worksheet_answers(student)
    x, w, t, e = numbers["x"], numbers["w"], numbers["t"], answers["e"]
    half = {n: v / 2 for n, v in answers.items() if n.startswith("d")}
    slips = [
        (
            "half",
            "the derivative of e squared is 2e, and all that follows from it doubles",
            half,
        ),
        ("sign of dt", "e = s - t: t gets the gradient with a minus", {"dt": 2 * e}),
        (
            "dw and dx swapped",
            "the derivative of w x with respect to one factor is the other",
            {"dw": 2 * e * w, "dx": 2 * e * (x + 1)},
        ),
        (
            "first path of dx",
            "x is used twice, and its derivatives add up: you took the one through s alone",
            {"dx": 2 * e},
        ),
        (
            "second path of dx",
            "x is used twice, and its derivatives add up: you took the one through p alone",
            {"dx": 2 * e * w},
        ),
        (
            "paths multiplied",
            "x is used twice: its derivatives add up, they do not multiply",
            {"dx": (2 * e) ** 2 * w},
        ),
        (
            "bias forgotten",
            "b is missing in your values",
            {"q": w * x, "r": w * x, "s": w * x + x, "e": w * x + x - t},
        ),
        (
            "shortcut forgotten",
            "s is r + x: the shortcut is missing in your values",
            {"s": answers["r"], "e": answers["r"] - t},
        ),
        ("loss not squared", "the loss is e squared", {"L": e}),
        ("loss halved", "the loss is e squared, without 1/2", {"L": e * e / 2}),
    ]
    found = [
        Mistake(
            name=name, message=message, functions=(lambda a={**answers, **slip}: a,)
        )
        for name, message, slip in slips
    ]
    if named and named != student:
        others = oracles.worksheet_answers(named)
        message = (
            "these are the answers for the name in your worksheet, but the numbers of"
            f' your graph are those of student = "{student}": write that into the notebook,'
            " run it again, and work with the numbers that it shows"
        )
        found.insert(
            0,
            Mistake(name="another name", message=message, functions=(lambda: others,)),
        )
    return tuple(found)
