"""Topic 01, known wrong answers: losses."""

from grader.checks.backprop import answers as right
from grader.mistakes import FLOAT64, in_place, table

l2_loss = table(
    right.l2_loss,
    (
        "loss halved",
        "your loss has a factor 1/2, which is not asked for",
        ("loss = (off * off)", "loss = 0.5 * (off * off)"),
    ),
    (
        "mean over everything",
        "your loss is a mean over samples and entries: sum over entries, and divide by"
        " N alone",
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

svm_loss = table(
    right.svm_loss,
    (
        "pushes counted once",
        "your `dx` pushes the true class once: it is pushed once for every violated"
        " margin",
        ("-= dx.sum(axis=1)", "-= dx.any(axis=1)"),
    ),
    (
        "true class not pushed",
        "your `dx` is 0 at the true class: each violated margin pushes it",
        ("    dx[rows, y] -= dx.sum(axis=1)\n", ""),
    ),
    (
        "pushes averaged",
        "your `dx` pushes the true class by a mean over classes: each violated margin"
        " counts fully",
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
        "your `dx` pushes only classes that score above the true one: those within the"
        " margin count, too",
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

log_softmax = table(
    right.log_softmax,
    (
        "no shift, probabilities first",
        "exp overflows for large scores: take away each row's maximum first",
        (
            "shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            "np.log(np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))",
        ),
    ),
    (
        "no shift",
        "exp overflows for large scores: take away each row's maximum first",
        ("x - x.max(axis=1, keepdims=True)", "x - 0"),
    ),
    (
        "shift of the whole array",
        "the maximum is taken over the whole array: where a row lies far below it, all"
        " of its exponentials become 0. Take each row's own",
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
        "the log is taken after the probabilities have become 0: take away the log of"
        " the sum instead",
        (
            "shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            "np.log(np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True))",
        ),
    ),
    (
        "epsilon",
        "a small number is added before the log: that changes what is small. Take away"
        " the log of the sum instead",
        (
            "shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            "np.log(np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True) +"
            " 1e-8)",
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
        "no shift, probabilities first",
        "exp overflows for large scores: take away each row's maximum first",
        (_SHIFT, "x - 0"),
        ("shifted - np.log(sums)", "np.log(np.exp(shifted) / sums)"),
        ("np.exp(log_probs)", "np.exp(shifted) / sums"),
    ),
    (
        "no shift, log of the sum",
        "exp overflows for large scores: take away each row's maximum first",
        (_SHIFT, "x - 0"),
        ("np.exp(log_probs)", "np.exp(shifted) / sums"),
    ),
    (
        "no shift",
        "exp overflows for large scores: take away each row's maximum first",
        (_SHIFT, "x - 0"),
    ),
    (
        "shift of the whole array",
        "the maximum is taken over the whole array: where a row lies far below it, all"
        " of its exponentials become 0. Take each row's own",
        (_SHIFT, "x - x.max()"),
    ),
    (
        "log of probabilities",
        "the log is taken after the probabilities have become 0: use shifted scores"
        " minus the log of their sum",
        ("shifted - np.log(sums)", "np.log(np.exp(shifted) / sums)"),
    ),
    (
        "epsilon",
        "a small number is added before the log: a loss that should be large is cut"
        " off. Use shifted scores minus the log of their sum",
        ("shifted - np.log(sums)", "np.log(np.exp(shifted) / sums + 1e-8)"),
    ),
    (
        "epsilon 1e-12",
        "a small number is added before the log: a loss that should be large is cut"
        " off. Use shifted scores minus the log of their sum",
        ("shifted - np.log(sums)", "np.log(np.exp(shifted) / sums + 1e-12)"),
    ),
    (
        "clipped probabilities",
        "probabilities are clipped before the log: a loss that should be large is cut"
        " off. Use shifted scores minus the log of their sum",
        ("shifted - np.log(sums)", "np.log((np.exp(shifted) / sums).clip(1e-12, 1))"),
    ),
    (
        "clipped scores",
        "scores are clipped: that changes the loss. Take away each row's maximum"
        " instead",
        (_SHIFT, "x.clip(-500, 500)"),
    ),
    *(row for row in _softmax_rows if row[0] != "in place"),
)
