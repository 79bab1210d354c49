"""The running examples of the parts.

Part I: four answers to *What is the capital of Australia?*, their reference and reward. Part II: two behaviors, each
a list of statements that a model shall answer with Yes or No; their mean differences are orthogonal. Part III: long
answers, written step by step; the steps are the letters. In the first example a step is right or wrong and the reward
counts the right ones, which lie on a lattice. In the second it is good, fair or poor and the reward is a log-chance,
so that totals lie on no lattice.
"""

import numpy as np

ANSWERS = ("Canberra", "Sydney", "I don't know", "Melbourne")
REF_LOG_P = np.log([0.2, 0.4, 0.3, 0.1])
REWARD = np.array([1.0, 0.0, 0.6, 0.0])

BEHAVIORS = ("strong", "weak")
DISTINGUISHABILITY = np.array([4.0, 1.0])
NOISE = 0.3  # standard deviation of an embedding in every direction
STATEMENTS, FEATURES = 500, 32  # of each behavior, of each embedding
DIFFERENCES = DISTINGUISHABILITY[:, None] * np.eye(2, FEATURES)
BETA, LEARNING_RATE = 0.1, 1.0

STEPS = ("right", "wrong")
STEP_LOG_P = np.log([0.3, 0.7])
STEP_REWARD = np.array([1.0, 0.0])
LETTERS = ("good", "fair", "poor")
LETTER_LOG_P = np.log([0.2, 0.5, 0.3])
LETTER_REWARD = np.log([0.6, 0.3, 0.1])
RATE = 0.1  # nats a letter
