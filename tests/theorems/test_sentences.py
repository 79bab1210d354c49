"""What a sentence keeps of the theory for one token: the first moment, nearly linear margins, differences at the end.

The second opinion is torch's autograd on a policy that draws token after token from one output matrix and frozen
states; slopes and bounds come from the statement's formulas in numpy.
"""

import itertools
import math

import numpy as np
import pytest
import torch

BETA = 0.5
INSTANCES = 60


def states(rng, vocabulary, features, length):
    """A frozen body: a hidden state after every string of tokens."""
    prefixes = (p for k in range(length) for p in itertools.product(range(vocabulary), repeat=k))
    return {prefix: rng.standard_normal(features) for prefix in prefixes}


def drawn_pairs(rng, vocabulary, length, count):
    tokens = rng.integers(vocabulary, size=(count, 2, length))
    return [tuple(tuple(answer) for answer in pair.tolist()) for pair in tokens]


def log_probability(W, answer, body):
    """The log-probabilities of an answer's tokens, added up."""
    return sum(torch.log_softmax(W @ torch.tensor(body[answer[:k]]), -1)[y] for k, y in enumerate(answer))


def log_odds(W, pair, body):
    return log_probability(W, pair[0], body) - log_probability(W, pair[1], body)


def loss(W, start, pairs, body):
    margins = [BETA * (log_odds(W, pair, body) - log_odds(start, pair, body)) for pair in pairs]
    return -torch.nn.functional.logsigmoid(torch.stack(margins)).mean()


def slope(W, pair, body):
    """G by its formula: indicator minus law, times the state, over the tokens of both answers."""
    G = np.zeros(W.shape)
    for sign, answer in zip((1, -1), pair, strict=True):
        for k, y in enumerate(answer):
            state = body[answer[:k]]
            law = np.exp(W @ state - (W @ state).max())
            G += sign * np.outer(np.eye(len(law))[y] - law / law.sum(), state)
    return G


def problem(seed, vocabulary=3, features=2, length=3, count=4):
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((vocabulary, features)),
        drawn_pairs(rng, vocabulary, length, count),
        states(rng, vocabulary, features, length),
        rng,
    )


def test_the_first_speed_is_half_beta_times_the_norm_of_the_mean_slope():
    for seed in range(INSTANCES):
        start, pairs, body, _ = problem(seed)
        W = torch.tensor(start, requires_grad=True)
        (gradient,) = torch.autograd.grad(loss(W, torch.tensor(start), pairs, body), W)
        mean = np.mean([slope(start, pair, body) for pair in pairs], axis=0)
        np.testing.assert_allclose(-gradient.numpy(), BETA / 2 * mean, rtol=0, atol=1e-13)


def test_for_one_token_the_first_speed_is_that_of_the_rate_theorem():
    rng = np.random.default_rng(0)
    for _ in range(INSTANCES):
        embeddings, start = rng.standard_normal((20, 3)), rng.standard_normal((5, 3))
        labels = np.repeat([1, -1], 10)
        slopes = [
            slope(start, ((0,), (1,)) if c > 0 else ((1,), (0,)), {(): g})
            for g, c in zip(embeddings, labels, strict=True)
        ]
        delta = np.linalg.norm(embeddings[:10].mean(axis=0) - embeddings[10:].mean(axis=0))
        speed = BETA / 2 * np.linalg.norm(np.mean(slopes, axis=0))
        assert speed == pytest.approx(BETA * delta / (2 * math.sqrt(2)), rel=1e-12)


def test_a_margin_is_linear_up_to_the_square_of_the_displacement():
    tightest = 0.0
    for seed in range(INSTANCES):
        start, pairs, body, rng = problem(seed)
        for pair, size in itertools.product(pairs, (1e-3, 0.1, 1.0, 10.0)):
            moved = size * rng.standard_normal(start.shape)
            margin = BETA * float(
                log_odds(torch.tensor(start + moved), pair, body) - log_odds(torch.tensor(start), pair, body)
            )
            off = abs(margin - BETA * np.sum(moved * slope(start, pair, body)))
            lengths = sum(np.sum(body[answer[:k]] ** 2) for answer in pair for k in range(len(answer)))
            allowed = BETA / 4 * np.sum(moved**2) * lengths
            assert off <= allowed + 1e-12
            tightest = max(tightest, off / allowed)
    assert tightest > 0.05  # the bound is no mere formality


def test_where_answers_differ_in_the_last_token_alone_the_margin_is_linear():
    for seed in range(INSTANCES):
        start, _, body, rng = problem(seed)
        beginning = tuple(rng.integers(3, size=2).tolist())
        first, second = rng.choice(3, size=2, replace=False).tolist()
        pair = ((*beginning, first), (*beginning, second))
        moved = 5 * rng.standard_normal(start.shape)
        gained = float(log_odds(torch.tensor(start + moved), pair, body) - log_odds(torch.tensor(start), pair, body))
        direction = np.outer(np.eye(3)[first] - np.eye(3)[second], body[beginning])
        assert gained == pytest.approx(np.sum(moved * direction), abs=1e-10)
        np.testing.assert_allclose(slope(start, pair, body), direction, rtol=0, atol=1e-13)


def test_where_answers_differ_in_the_last_token_alone_the_start_is_straight_with_the_constants_of_the_matrix():
    for seed in range(INSTANCES):
        start, _, body, rng = problem(seed, length=2)
        firsts, lasts = rng.integers(3, size=4).tolist(), [rng.choice(3, size=2, replace=False) for _ in range(4)]
        pairs = [((a, int(y)), (a, int(n))) for a, (y, n) in zip(firsts, lasts, strict=True)]
        slopes = np.stack([slope(start, pair, body).ravel() for pair in pairs])
        speed = BETA / 2 * np.linalg.norm(slopes.mean(axis=0))
        S_G = np.linalg.norm(slopes, ord=2) ** 2 / len(pairs)
        rate, W = 1.6 / (BETA**2 * S_G), torch.tensor(start)
        for step in range(1, 6):
            W = W.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(W, torch.tensor(start), pairs, body), W)
            W = W - rate * gradient
            moved, time = (W.detach().numpy() - start).ravel(), step * rate
            off = np.linalg.norm(moved - BETA / 2 * time * slopes.mean(axis=0))
            assert np.linalg.norm(moved) <= speed * time * (1 + 1e-12)
            assert off <= BETA**2 * time * S_G / 8 * speed * time + 1e-12


def test_for_one_token_the_second_moment_of_the_slopes_is_twice_that_of_the_embeddings():
    rng = np.random.default_rng(1)
    for _ in range(INSTANCES):
        embeddings, start = rng.standard_normal((20, 3)), rng.standard_normal((5, 3))
        slopes = np.stack([slope(start, ((0,), (1,)), {(): g}).ravel() for g in embeddings])
        found, one = (np.linalg.norm(rows, ord=2) ** 2 for rows in (slopes, embeddings))
        assert found == pytest.approx(2 * one, rel=1e-12)


def test_where_they_differ_earlier_it_is_not():
    start, _, body, rng = problem(1)
    pair, moved = ((0, 1, 2), (1, 1, 2)), 5 * rng.standard_normal(start.shape)
    gained = float(log_odds(torch.tensor(start + moved), pair, body) - log_odds(torch.tensor(start), pair, body))
    assert abs(gained - np.sum(moved * slope(start, pair, body))) > 1


def farthest_ratio(pair, body, beta, rate, steps):
    """How far W gets, at most, in units of time times first speed; two tokens, W starts at 0."""
    start = torch.zeros((2, 1), dtype=torch.float64)
    W, ratio, first = start.clone(), 0.0, None
    for step in range(1, steps + 1):
        W.requires_grad_()
        margin = beta * (log_odds(W, pair, body) - log_odds(start, pair, body))
        (gradient,) = torch.autograd.grad(-torch.nn.functional.logsigmoid(margin), W)
        first = first if first is not None else float(gradient.norm())
        W = (W - rate * gradient).detach()
        ratio = max(ratio, float(W.norm()) / (step * rate * first))
    return ratio


def test_the_displacement_of_a_sentence_may_exceed_time_times_the_first_speed():
    """The book's sentence, Yes Yes over No Yes: 7.44 times as far. Differing at the end: at most once."""
    body = {(): np.array([1.1]), (0,): np.array([0.0]), (1,): np.array([2.0])}
    assert farthest_ratio(((0, 0), (1, 0)), body, 0.1, 0.1, 1500) == pytest.approx(7.44, abs=0.005)
    assert farthest_ratio(((1, 0), (1, 1)), body, 0.1, 0.1, 300) <= 1 + 1e-12
