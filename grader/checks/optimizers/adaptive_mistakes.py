"""Topic 02, known wrong answers: Adagrad, RMSProp, and Adam in both forms."""

from collections.abc import Callable

from grader.checking import Mistake
from grader.checks.optimizers import answers as right
from grader.checks.optimizers.rule_mistakes import shared_by_all_rules
from grader.mistakes import table

_ROOT = "(np.sqrt(cache) + eps)"
_HAT = "(np.sqrt(v_hat) + eps)"


def _per_entry(answer: Callable) -> tuple[Mistake, ...]:
    """Return the mistakes that Adagrad and RMSProp share."""
    return table(
        answer,
        (
            "epsilon in the root",
            "epsilon stands inside the root: it belongs beside it",
            (_ROOT, "np.sqrt(cache + eps)"),
        ),
        (
            "no epsilon",
            "epsilon is missing: a gradient of exactly 0 gives 0/0",
            (_ROOT, "np.sqrt(cache)"),
        ),
        (
            "no root",
            "the gradient is divided by the cache itself, not by its root",
            (_ROOT, "(cache + eps)"),
        ),
        (
            "multiplied",
            "the gradient is multiplied by the root: divide",
            (f"/ {_ROOT}", f"* {_ROOT}"),
        ),
        (
            "uphill",
            "the step goes uphill: subtract it",
            ("w - lr * dw", "w + lr * dw"),
        ),
        (
            "cache not stored",
            "the cache is not put into config, so every step starts from zero",
            ('    config["cache"] = cache\n', ""),
        ),
        (
            "cache of the step before",
            "the step is taken with the cache of the step before: let it take in this"
            " gradient first",
            (_ROOT, '(np.sqrt(config.get("cache", np.zeros_like(w))) + eps)'),
        ),
        (
            "one cache for all entries",
            "squares are summed over entries: each entry has a cache of its own",
            ("dw * dw", "(dw * dw).sum()"),
        ),
        (
            "default epsilon",
            "epsilon has another default than the promised one",
            ('("epsilon", 1e-8)', '("epsilon", 1e-6)'),
        ),
    )


adagrad = (
    *shared_by_all_rules(right.adagrad),
    *_per_entry(right.adagrad),
    *table(
        right.adagrad,
        (
            "not squared",
            "the cache sums the sizes of gradients, not their squares",
            ("dw * dw", "np.abs(dw)"),
        ),
        (
            "last square alone",
            "the cache holds the last square alone: add it to those before",
            ("cache = cache + dw * dw", "cache = dw * dw"),
        ),
        (
            "RMSProp",
            "this is RMSProp: Adagrad's cache is a sum, without forgetting",
            ("cache + dw * dw", "0.99 * cache + (1 - 0.99) * dw * dw"),
        ),
    ),
)

rmsprop = (
    *shared_by_all_rules(right.rmsprop),
    *_per_entry(right.rmsprop),
    *table(
        right.rmsprop,
        (
            "weights swapped",
            "decay_rate weighs the new square, and 1 - decay_rate the old cache: it is"
            " the other way round",
            ("rho * cache + (1 - rho)", "(1 - rho) * cache + rho"),
        ),
        (
            "Adagrad",
            "this is Adagrad: RMSProp's cache forgets",
            ("rho * cache + (1 - rho) * dw * dw", "cache + dw * dw"),
        ),
        (
            "new square in full",
            "the new square enters the cache in full: weigh it with 1 - decay_rate",
            ("(1 - rho) * dw * dw", "dw * dw"),
        ),
        (
            "not squared",
            "the cache averages gradients, not their squares",
            ("dw * dw", "np.abs(dw)"),
        ),
        (
            "default decay rate",
            "decay_rate has another default than the promised one",
            ('("decay_rate", 0.99)', '("decay_rate", 0.9)'),
        ),
        (
            "bias correction",
            "the cache is corrected for its start at zero, as in Adam: RMSProp takes it"
            " as it is",
            (
                "    next_w =",
                '    t = config["t"] = config.get("t", 0) + 1\n    next_w =',
            ),
            (_ROOT, "(np.sqrt(cache / (1 - rho**t)) + eps)"),
        ),
    ),
)


def _moments(answer: Callable) -> tuple[Mistake, ...]:
    """Return the mistakes that both forms of Adam share."""
    return table(
        answer,
        (
            "m not stored",
            "m is not put into config, so every step starts from zero",
            ("update(m=m, v=v", "update(v=v"),
        ),
        (
            "v not stored",
            "v is not put into config, so every step starts from zero",
            ("update(m=m, v=v", "update(m=m"),
        ),
        (
            "v not squared",
            "v averages gradients, not their squares",
            ("(1 - beta2) * dw * dw", "(1 - beta2) * np.abs(dw)"),
        ),
        (
            "m not weighted",
            "the gradient enters m in full: weigh it with 1 - beta1",
            ("(1 - beta1) * dw", "dw"),
        ),
        (
            "v not weighted",
            "the square enters v in full: weigh it with 1 - beta2",
            ("(1 - beta2) * dw * dw", "dw * dw"),
        ),
        (
            "betas swapped",
            "beta1 and beta2 are swapped: beta1 belongs to m",
            ("m = beta1 * m + (1 - beta1)", "m = beta2 * m + (1 - beta2)"),
            ("v = beta2 * v + (1 - beta2)", "v = beta1 * v + (1 - beta1)"),
        ),
        (
            "beta1 for both",
            "beta1 is taken for both averages: v has beta2",
            ("v = beta2 * v + (1 - beta2)", "v = beta1 * v + (1 - beta1)"),
        ),
        (
            "beta1's default",
            "beta1 has another default than the promised one",
            ('("beta1", 0.9)', '("beta1", 0.99)'),
        ),
        (
            "beta2's default",
            "beta2 has another default than the promised one",
            ('("beta2", 0.999)', '("beta2", 0.99)'),
        ),
        (
            "default learning rate",
            "the default learning rate is that of SGD: Adam's is smaller",
            ('("learning_rate", 1e-3)', '("learning_rate", 1e-2)'),
        ),
    )


adam = (
    *shared_by_all_rules(right.adam),
    *_moments(right.adam),
    *table(
        right.adam,
        (
            "no correction",
            "there is no bias correction: your first step is several times too large",
            ("m / (1 - beta1**t)", "m"),
            ("v / (1 - beta2**t)", "v"),
        ),
        (
            "m not corrected",
            "m is not corrected for its start at zero",
            ("m / (1 - beta1**t)", "m"),
        ),
        (
            "v not corrected",
            "v is not corrected for its start at zero",
            ("v / (1 - beta2**t)", "v"),
        ),
        (
            "correction without t",
            "the correction divides by 1 - beta in every step: beta has the exponent t",
            ("beta1**t", "beta1"),
            ("beta2**t", "beta2"),
        ),
        (
            "t times beta",
            "the correction multiplies beta by t, where t is an exponent",
            ("beta1**t", "beta1 * t"),
            ("beta2**t", "beta2 * t"),
        ),
        (
            "t not raised",
            "t stays what it was: it counts the steps",
            (", t=t)", ")"),
        ),
        (
            "t raised after use",
            "t is raised after it is used, so the first step divides by zero",
            ('config.get("t", 0) + 1', 'config.get("t", 0)'),
            (", t=t)", ", t=t + 1)"),
        ),
        (
            "t one too large",
            "t is one step ahead: the first step's exponent is 1",
            ("1 - beta1**t", "1 - beta1 ** (t + 1)"),
            ("1 - beta2**t", "1 - beta2 ** (t + 1)"),
        ),
        (
            "t starts at 1",
            "a config without t starts from 1: it starts from 0, and is raised before"
            " use",
            ('config.get("t", 0)', 'config.get("t", 1)'),
        ),
        (
            "corrected moments stored",
            "the corrected averages are put into config, and corrected again in the"
            " next step",
            ("update(m=m, v=v", "update(m=m_hat, v=v_hat"),
        ),
        (
            "epsilon in the root",
            "epsilon stands inside the root: it belongs beside it",
            (_HAT, "np.sqrt(v_hat + eps)"),
        ),
        (
            "epsilon before the correction",
            "epsilon is added before the bias correction: it belongs after it",
            (_HAT, "((np.sqrt(v) + eps) / np.sqrt(1 - beta2**t))"),
        ),
        (
            "no epsilon",
            "epsilon is missing: a gradient of exactly 0 gives 0/0",
            (_HAT, "np.sqrt(v_hat)"),
        ),
        (
            "no root",
            "the step divides by v itself: take its root",
            (_HAT, "(v_hat + eps)"),
        ),
        (
            "uphill",
            "the step goes uphill: subtract it",
            ("w - lr * m_hat", "w + lr * m_hat"),
        ),
        (
            "gradient in place of m",
            "the step is made of the gradient, where its average m belongs",
            ("lr * m_hat", "lr * dw"),
        ),
        (
            "default epsilon",
            "epsilon has another default than the promised one",
            ('("epsilon", 1e-8)', '("epsilon", 1e-6)'),
        ),
    ),
)

_RAW = "(np.sqrt(v) + eps)"

adam_uncorrected = (
    *shared_by_all_rules(right.adam_uncorrected),
    *_moments(right.adam_uncorrected),
    *table(
        right.adam_uncorrected,
        (
            "corrected",
            "there is a bias correction: this variant leaves it out",
            (
                "lr * m / (np.sqrt(v) + eps)",
                "lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)",
            ),
        ),
        (
            "m corrected",
            "m is corrected for its start at zero: this variant takes it as it is",
            ("lr * m /", "lr * m / (1 - beta1**t) /"),
        ),
        (
            "t not raised",
            "t stays what it was: it counts the steps here, too",
            (", t=t)", ")"),
        ),
        (
            "epsilon in the root",
            "epsilon stands inside the root: it belongs beside it",
            (_RAW, "np.sqrt(v + eps)"),
        ),
        (
            "no epsilon",
            "epsilon is missing: a gradient of exactly 0 gives 0/0",
            (_RAW, "np.sqrt(v)"),
        ),
        ("no root", "the step divides by v itself: take its root", (_RAW, "(v + eps)")),
        ("uphill", "the step goes uphill: subtract it", ("w - lr * m", "w + lr * m")),
    ),
)
