"""What the tests on comparisons share: the logistic function and the log-likelihood by definition, random wins."""

import numpy as np


def sigmoid(margin):
    return 1 / (1 + np.exp(-np.asarray(margin)))


def plain_log_likelihood(reward, wins):
    """The log-likelihood by its definition."""
    gap = reward[:, None] - reward[None, :]
    return float(np.sum(wins * -np.logaddexp(0, -gap) * (1 - np.eye(len(reward)))))


def random_wins(rng, answers=4, most=6, sparse=0.0):
    wins = rng.integers(0, most, (answers, answers)) * (rng.random((answers, answers)) >= sparse)
    return (wins * (1 - np.eye(answers))).astype(float)
