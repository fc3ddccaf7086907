"""How many mutants of the solution the hidden checks of topic 07 catch, and which not.

The function that trains is not mutated: it is judged by what it reaches.
"""

from tests.grader.checks import rnn_lstm_probes as probes
from tests.grader.checks.backprop_probes import same
from tests.grader.checks.hunting import *  # noqa: F403
from tests.grader.checks.hunting import Hunt
from tests.grader.checks.test_rnn_lstm import TOPIC

HUNT = Hunt(
    TOPIC,
    {
        "spectral_radius": probes.radii,
        "gradient_norms": probes.norms,
        "temporal_softmax_loss": probes.losses,
        "char_loss": probes.models,
        "sample": probes.samplers,
        "attend": probes.attentions,
    },
    same,
    pairs={
        "rnn_step_{}": probes.steps(1),
        "rnn_{}": probes.sequences(1),
        "lstm_step_{}": probes.steps(4),
        "lstm_{}": probes.sequences(4),
        "word_embedding_{}": probes.embeddings,
    },
)
