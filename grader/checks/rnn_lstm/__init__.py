"""Topic 07, recurrent networks: the hidden checks, one exercise for each graded
cell."""

from grader.checks.rnn_lstm.cells import (
    lstm_backward,
    lstm_forward,
    lstm_step_backward,
    lstm_step_forward,
    rnn_backward,
    rnn_forward,
    rnn_step_backward,
    rnn_step_forward,
)
from grader.checks.rnn_lstm.models import (
    attend,
    char_loss,
    gradient_norms,
    long_memory,
    sample,
    spectral_radius,
    temporal_softmax_loss,
    word_embedding_backward,
    word_embedding_forward,
)

__all__ = [
    "rnn_step_forward",
    "rnn_step_backward",
    "rnn_forward",
    "rnn_backward",
    "spectral_radius",
    "gradient_norms",
    "lstm_step_forward",
    "lstm_step_backward",
    "lstm_forward",
    "lstm_backward",
    "word_embedding_forward",
    "word_embedding_backward",
    "temporal_softmax_loss",
    "char_loss",
    "sample",
    "attend",
    "long_memory",
]
