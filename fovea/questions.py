"""The lectures' self-check questions, kept here so that a lecture doesn't show answers.

Each is the question, the right option, then the wrong ones; after the colon stands why.
"""

QUESTIONS = {
    "layers": (
        "How many layers has f = W₄ tanh(W₃ max(0, W₂ max(0, W₁ x)))?",
        "4: We count the matrices W₁ to W₄: three hidden layers and the output.",
        "3: These are the hidden layers; the output layer counts too.",
        "7: Functions without weights, such as tanh, are no layers of their own here.",
    ),
    "zero-centred": (
        "Which activation is zero-centred, and saturates on both sides?",
        "tanh: Its outputs lie between -1 and 1, its slope dies out on both sides.",
        "sigmoid: It saturates on both sides, but its outputs spread around 0.5.",
        "leaky ReLU: Its slope is 0.1 or 1, so it never saturates.",
    ),
    "hinge": (
        "The right class scores 5, the two others 3 and 4.5. What is the hinge loss?",
        "0.5: max(0, 3 - 5 + 1) is 0, and max(0, 4.5 - 5 + 1) is 0.5.",
        "0: The score 5 beats 4.5, but by less than the margin of 1.",
        "1.5: The class that scores 3 is far enough behind and adds nothing.",
    ),
    "push": (
        "The right score leads every other by 3. Which loss would still change it?",
        "softmax: It pushes until the loss is 0, which it only approaches.",
        "hinge: The margin of 1 is met, so its derivative is exactly 0.",
        "both: Softmax would, but hinge is content from a lead of 1 on.",
        "neither: Softmax is small at a lead of 3, but not 0, and still pushes.",
    ),
    "maximum": (
        "L = max(p, q)·r with p = 5, q = 3, r = -2. What are ∂L/∂p, ∂L/∂q and ∂L/∂r?",
        "-2, 0, 5: The product swaps -2 and 5, the maximum sends -2 to the winner p.",
        "-2, -2, 5: The loser q gets nothing; a small change of q changes nothing.",
        "5, 0, -2: Each factor of a product gets the other factor, not itself.",
    ),
    "reuse": (
        "L = p·p + p with p = 3. What does the backward pass collect at p?",
        "7: It adds 3 and 3 from the product's two inputs, and 1 from the sum.",
        "4: The product uses p twice, so 3 arrives twice.",
        "1: The last contribution must be added to the others, not replace them.",
    ),
}
