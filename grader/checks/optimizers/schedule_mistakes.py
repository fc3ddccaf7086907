"""Topic 02, known wrong answers: schedules of the learning rate."""

from grader.checks.optimizers import answers as right
from grader.mistakes import table

step_decay = table(
    right.step_decay,
    (
        "no floor",
        "the rate falls in every epoch: the exponent is rounded down to a whole number",
        ("epoch // every", "epoch / every"),
    ),
    (
        "rounded up",
        "the exponent is rounded up: the rate drops too soon",
        ("epoch // every", "-(-epoch // every)"),
    ),
    (
        "rounded",
        "the exponent is rounded to the nearest number: round it down",
        ("epoch // every", "round(epoch / every)"),
    ),
    (
        "one epoch early",
        "the rate drops an epoch too soon",
        ("epoch // every", "(epoch + 1) // every"),
    ),
    (
        "one epoch late",
        "the rate drops an epoch too late",
        ("epoch // every", "max(epoch - 1, 0) // every"),
    ),
    (
        "every epoch",
        "the rate drops in every epoch: every is ignored",
        ("epoch // every", "epoch"),
    ),
    (
        "one drop alone",
        "the rate drops once, and never again",
        ("epoch // every", "min(epoch // every, 1)"),
    ),
    (
        "multiplied",
        "the drops are multiplied by their number, where it is an exponent",
        ("drop**drops", "(drop * drops if drops else 1.0)"),
    ),
    (
        "share taken away",
        "the rate loses the share drop, where drop is what it keeps",
        ("drop**drops", "(1 - drop) ** drops"),
    ),
    (
        "divided",
        "the rate is divided by drop, and so it rises",
        ("lr0 * drop**drops", "lr0 / drop**drops"),
    ),
    (
        "exponential",
        "this is an exponential decay: step decay multiplies by drop",
        ("drop**drops", "np.exp(-drop * drops)"),
    ),
    (
        "default drop",
        "drop has another default than the promised one",
        ("drop=0.5", "drop=0.1"),
    ),
    (
        "default every",
        "every has another default than the promised one",
        ("every=10", "every=30"),
    ),
)

_EXP = "np.exp(-k * t)"

exponential_decay = table(
    right.exponential_decay,
    ("growth", "the rate grows: the exponent has a minus", (_EXP, "np.exp(k * t)")),
    ("base 2", "the decay has base 2: it has base e", (_EXP, "2.0 ** (-k * t)")),
    (
        "time outside",
        "time multiplies the result: it belongs to the exponent",
        (_EXP, "np.exp(-k) * t"),
    ),
    ("no speed", "k is missing", (_EXP, "np.exp(-t)")),
    ("time over speed", "the exponent is -t/k: k is a speed", (_EXP, "np.exp(-t / k)")),
    (
        "whole times",
        "times are rounded down to whole numbers",
        (_EXP, "np.exp(-k * int(t))"),
    ),
    (
        "hyperbola",
        "this is a decay of the form 1/(1 + kt)",
        (_EXP, "(1 / (1 + k * t))"),
    ),
    ("straight line", "this is a straight line, 1 - kt", (_EXP, "(1 - k * t)")),
    (
        "rate forgotten",
        "the factor alone comes back: multiply it by lr0",
        ("lr0 * ", ""),
    ),
    (
        "rate in the exponent",
        "the learning rate stands in the exponent",
        ("lr0 * np.exp(-k * t)", "np.exp(-lr0 * k * t)"),
    ),
    (
        "complement",
        "the factor rises from 0 to 1: it falls from 1 to 0",
        (_EXP, "(1 - np.exp(-k * t))"),
    ),
)

reduce_on_plateau = table(
    right.ReduceOnPlateau,
    (
        "one value too soon",
        "the rate is reduced one value too soon: patience values are forgiven",
        ("self.count > self.patience", "self.count >= max(self.patience, 1)"),
    ),
    (
        "one value too late",
        "the rate is reduced one value too late",
        ("self.count > self.patience", "self.count > self.patience + 1"),
    ),
    (
        "count goes on",
        "the count goes on after a reduction: it starts anew",
        ("            self.count = 0\n            reduced", "            reduced"),
    ),
    (
        "not in a row",
        "values without improvement are counted from the start: an improvement sets"
        " the count to 0",
        ("            self.count = 0\n        else", "        else"),
    ),
    (
        "compared with the last value",
        "a value is compared with the one before it, not with the smallest so far",
        (
            "            self.count += 1\n",
            "            self.count += 1\n            self.best = value\n",
        ),
    ),
    (
        "best forgotten",
        "the smallest value is forgotten when the rate is reduced",
        (
            "            reduced =",
            '            self.best = float("inf")\n            reduced =',
        ),
    ),
    (
        "a tie improves",
        "an equal value is taken for an improvement: it has to be smaller",
        ("value < self.best", "value <= self.best"),
    ),
    (
        "PyTorch's threshold",
        "tiny improvements don't count: PyTorch asks for a share by default, here every"
        " smaller value improves",
        (
            "value < self.best",
            'self.best == float("inf") or value < self.best - 1e-4 * abs(self.best)',
        ),
    ),
    (
        "larger is better",
        "larger values are taken for better ones",
        ("value < self.best", "value > self.best"),
        ('float("inf")', 'float("-inf")'),
    ),
    (
        "min_lr ignored",
        "min_lr is ignored",
        ("max(self.lr * self.factor, self.min_lr)", "self.lr * self.factor"),
    ),
    (
        "raised to min_lr",
        "a rate below min_lr is raised to it",
        ("min(self.lr, reduced)", "reduced"),
    ),
    (
        "stops above min_lr",
        "a reduction that would go below min_lr is left out: it ends at min_lr",
        (
            "max(self.lr * self.factor, self.min_lr)",
            "self.lr * (self.factor if self.lr * self.factor >= self.min_lr else 1)",
        ),
    ),
    (
        "share taken away",
        "the rate loses the share factor, where factor is what it keeps",
        ("self.lr * self.factor", "self.lr * (1 - self.factor)"),
    ),
    (
        "subtracted",
        "factor is subtracted from the rate: multiply",
        ("self.lr * self.factor", "self.lr - self.factor"),
    ),
    (
        "divided",
        "the rate is divided by factor, and so it would rise",
        ("self.lr * self.factor", "self.lr / self.factor"),
    ),
    (
        "first rate",
        "every reduction starts from the first rate",
        ("        self.lr = lr\n", "        self.lr = self.first = lr\n"),
        ("self.lr * self.factor", "self.first * self.factor"),
    ),
    (
        "rate before",
        "the rate that comes back is the one before the reduction",
        (
            "    def step(self, value):\n",
            "    def step(self, value):\n        rate = self.lr\n",
        ),
        ("return self.lr", "return rate"),
    ),
    (
        "nothing returned",
        "nothing comes back: return the learning rate",
        ("        return self.lr\n", ""),
    ),
    (
        "shared by all",
        "all schedules share one state: keep it in self",
        (
            "class ReduceOnPlateau:\n",
            'class ReduceOnPlateau:\n    kept = {"best": float("inf"), "count": 0}\n\n',
        ),
        (
            "        if value < self.best:\n",
            "        self.best, self.count = self.kept.values()\n"
            "        if value < self.best:\n",
        ),
        (
            "        return self.lr\n",
            "        self.kept.update(best=self.best, count=self.count)\n"
            "        return self.lr\n",
        ),
    ),
    (
        "default patience",
        "patience has another default than the promised one",
        ("patience=10", "patience=5"),
    ),
    (
        "default factor",
        "factor has another default than the promised one",
        ("factor=0.1", "factor=0.5"),
    ),
)
