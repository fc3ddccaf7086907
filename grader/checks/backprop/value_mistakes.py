"""Topic 01, known wrong answers: the class Value."""

from grader.checks.backprop import answers as right
from grader.mistakes import table

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
        "nodes with equal numbers are taken for one: tell nodes apart by identity, not"
        " by their data",
        ("if node not in seen", "if node.data not in seen"),
        ("seen.add(node)", "seen.add(node.data)"),
    ),
    (
        "gradients overwritten",
        "a gradient is set where it should be added to: a node used twice gets a share"
        " from each use",
        ("parent.grad += slope", "parent.grad = slope"),
    ),
    (
        "visited before all users",
        "nodes pass on their gradient before all who use them have delivered theirs:"
        " walk in an order in which every node comes after all its users",
        ("                order.append(node)\n", ""),
        (
            "                seen.add(node)\n",
            "                seen.add(node); order.insert(0, node)\n",
        ),
    ),
    (
        "visited once per path",
        "gradients that have been passed on are passed on again when a node is reached"
        " by a second path",
        ("if node not in seen:", "if True:"),
    ),
    (
        "output not seeded",
        "the walk starts from gradient 0: the derivative of the output with respect to"
        " itself is 1",
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
            "Value(self.data - (other.data if isinstance(other, Value) else other),"
            " ((self, 1.0), (other if isinstance(other, Value) else Value(other),"
            " 1.0)))",
        ),
    ),
    (
        "quotient",
        "the derivative of a / b with respect to b is -a / b squared",
        (
            "return self * other**-1",
            "return Value(self.data / other.data, ((self, 1 / other.data), (other,"
            " self.data / other.data**2)))",
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
            "other = other if isinstance(other, Value) else Value(other)\n"
            "        return Value(self.data + other.data, (",
            "return Value(self.data + other.data, (",
        ),
    ),
    (
        "no numbers on the left",
        "a plain number on the left is not understood: define __radd__ and its like",
        (
            "    def __radd__(self, other):\n        return self + other\n\n    def"
            " __rmul__(self, other):\n        return self * other\n\n    def"
            " __rsub__(self, other):\n        return other + -1 * self\n\n    def"
            " __rtruediv__(self, other):\n        return other * self**-1\n\n",
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
            "    def __rmul__(self, other):\n        return Value(self.data * other,"
            " ((self, 1.0),))\n",
        ),
    ),
)

value_deep = table(
    _VALUE,
    (
        "a path at a time",
        "backward walks every path by itself: visit each node once, when all who use"
        " it have delivered",
        (
            "        self.grad = 1.0\n        for node in reversed(order):\n"
            "            for parent, slope in node.parents:\n"
            "                parent.grad += slope * node.grad\n",
            "        def send(node, share):\n            node.grad += share\n"
            "            for parent, slope in node.parents:\n"
            "                send(parent, slope * share)\n\n        send(self, 1.0)\n",
        ),
        ("        visit(self)\n", ""),
    ),
    (
        "two calls per node",
        "the recursion nests two calls per node, and Python stops at 1000 in all: one"
        " call per node, or a list of your own in place of recursion",
        (
            "                for parent, _ in node.parents:\n"
            "                    visit(parent)\n",
            "                descend(node)\n",
        ),
        (
            "        visit(self)\n",
            "        def descend(node):\n            for parent, _ in node.parents:\n"
            "                visit(parent)\n\n        visit(self)\n",
        ),
    ),
    (
        "gradients overwritten",
        "a gradient is set where it should be added to: a node used twice gets a share"
        " from each use",
        ("parent.grad += slope", "parent.grad = slope"),
    ),
    (
        "output not seeded",
        "the walk starts from gradient 0: the derivative of the output with respect to"
        " itself is 1",
        ("        self.grad = 1.0\n        for", "        for"),
    ),
    (
        "slope alone",
        "the slope is not multiplied by the gradient that arrives",
        ("slope * node.grad", "slope"),
    ),
)
