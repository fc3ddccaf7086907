"""Topic 07, the checks of the recurrence alone, of words, of models and of memory."""

from grader.checking import Exercise
from grader.checks.promises import HANDS_OFF, promise
from grader.checks.rnn_lstm import (
    cases,
    model_mistakes,
    oracles,
    runs,
    word_mistakes,
)
from grader.checks.rnn_lstm.memory import compare_labels, compare_pieces

# a loss that came out as a Python float has no more digits than the scores
FLOAT32, FLOAT32_AT_1E4 = 1e-4, 5e-3


spectral_radius = Exercise(
    name="spectral_radius",
    run=runs.run_spectral_radius,
    oracle=oracles.spectral_radius,
    properties=(
        promise(
            0.5,
            "is right for complex pairs and negative ones",
            cases.radii,
            "radius",
            rtol=1e-5,
        ),
        promise(
            0.25,
            "is right far from symmetry",
            cases.radii_lopsided,
            "radius",
            rtol=1e-5,
        ),
        promise(
            0.25,
            "takes float32, and leaves Wh as it was",
            cases.radii_float32,
            "radius",
            "changed",
            rtol=1e-3,
        ),
    ),
    mistakes=word_mistakes.spectral_radius,
)

gradient_norms = Exercise(
    name="gradient_norms",
    run=runs.run_gradient_norms,
    oracle=oracles.gradient_norms,
    properties=(
        promise(1, "returns the norm at each step back", cases.flows, "norms"),
        promise(0.5, "follows what grows and what shrinks", cases.flows_long, "norms"),
        promise(0.5, HANDS_OFF, cases.flows_float32, "norms", "changed"),
    ),
    mistakes=word_mistakes.gradient_norms,
)

word_embedding_forward = Exercise(
    name="word_embedding_forward",
    run=runs.run_word_embedding_forward,
    oracle=oracles.word_embedding_forward,
    properties=(
        promise(0.75, "returns the row of each word", cases.words, "out"),
        promise(0.25, HANDS_OFF, cases.words_float32, "out", "changed"),
    ),
    mistakes=word_mistakes.word_embedding_forward,
)

_once, _repeated, _small = map(
    cases.with_word_grads, (cases.words_once, cases.words_repeated, cases.words_float32)
)

word_embedding_backward = Exercise(
    name="word_embedding_backward",
    run=runs.run_word_embedding_backward,
    oracle=oracles.word_embedding_backward,
    properties=(
        promise(0.5, "is right where no word comes again", _once, "dW"),
        promise(1, "adds up for words that come again", _repeated, "dW"),
        promise(
            0.5,
            "keeps float32, and leaves dout and the cache as they were",
            _small,
            "dW",
            "what forward got",
            "result of a second call",
            "changed",
        ),
    ),
    mistakes=word_mistakes.word_embedding_backward,
)

temporal_softmax_loss = Exercise(
    name="temporal_softmax_loss",
    run=runs.run_temporal_softmax_loss,
    oracle=oracles.temporal_softmax_loss,
    properties=(
        promise(
            0.5,
            "returns the right loss if all steps count",
            cases.loss_unmasked,
            "loss",
        ),
        promise(
            0.5, "returns the right `dx` if all steps count", cases.loss_unmasked, "dx"
        ),
        promise(0.5, "leaves masked steps out of the loss", cases.loss_masked, "loss"),
        promise(0.5, "leaves masked steps out of `dx`", cases.loss_masked, "dx"),
        promise(
            0.5,
            "takes any label at a masked step",
            cases.loss_strange_labels,
            "loss",
            "dx",
        ),
        promise(
            0.5,
            "returns 0 and zeros if all is masked",
            cases.loss_all_masked,
            "loss",
            "dx",
            "warnings",
        ),
        promise(
            0.5,
            "is right, without warnings, for scores up to 10,000",
            cases.loss_large,
            "loss",
            "dx",
            "warnings",
            rtol=FLOAT32_AT_1E4,
        ),
        promise(
            0.5, HANDS_OFF, cases.loss_float32, "loss", "dx", "changed", rtol=FLOAT32
        ),
    ),
    mistakes=word_mistakes.temporal_softmax_loss,
)

char_loss = Exercise(
    name="char_loss",
    run=runs.run_char_loss,
    oracle=oracles.char_loss,
    properties=(
        promise(1, "returns the right loss", cases.texts, "loss"),
        promise(2.25, "returns the right gradients", cases.texts, "grads"),
        promise(
            0.75,
            HANDS_OFF,
            cases.texts_float32,
            "loss",
            "grads",
            "changed",
            rtol=FLOAT32,
        ),
    ),
    mistakes=model_mistakes.char_loss,
)

_drawn = {"compare": oracles.compare_text}

sample = Exercise(
    name="sample",
    run=runs.run_sample,
    oracle=oracles.sample,
    properties=(
        promise(
            1,
            "draws each character as likely as the model says",
            cases.sampling,
            "text",
            **_drawn,
        ),
        promise(
            0.75, "follows the temperature", cases.sampling_tempered, "text", **_drawn
        ),
        promise(
            0.5,
            "draws from `rng`, and from nothing else",
            cases.sampling,
            "texts",
            compare=oracles.compare_draws,
        ),
        promise(
            0.75,
            "is right where one character is all but sure, and has no side effects",
            cases.sampling_cold,
            "text",
            "changed",
            "warnings",
            **_drawn,
        ),
    ),
    mistakes=model_mistakes.sample,
)

attend = Exercise(
    name="attend",
    run=runs.run_attend,
    oracle=oracles.attend,
    properties=(
        promise(1, "returns the right weights", cases.attention, "weights"),
        promise(1, "returns the right context", cases.attention, "context"),
        promise(
            0.5,
            "is right, without warnings, for large scores",
            cases.attention_large,
            "weights",
            "context",
            "warnings",
        ),
        promise(
            0.5, HANDS_OFF, cases.attention_float32, "weights", "context", "changed"
        ),
    ),
    mistakes=word_mistakes.attend,
)

long_memory = Exercise(
    name="long_memory",
    run=runs.run_long_memory,
    oracle=oracles.long_memory,
    properties=(
        promise(
            2,
            "names 50 % of new sequences right",
            cases.memory,
            "labels",
            compare=compare_labels(0.5),
        ),
        promise(
            3,
            "names 99 % of new sequences right",
            cases.memory,
            "labels",
            compare=compare_labels(0.99),
        ),
        promise(
            1,
            "gives the same in pieces, and for one alone",
            cases.memory,
            "in pieces",
            "alone",
            "state",
            "changed",
            compare=compare_pieces,
        ),
    ),
)
