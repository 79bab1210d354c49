"""1000 full-batch steps on 4 behaviors × 500 pairs × 32 features: the margin form against the usual autograd loop.

The usual loop trains four models one after the other: a linear layer over all tokens, log-softmax, the same of the
reference, the loss on log-probabilities, backward, torch's optimizer. Two tokens, Yes and No, are the least it can do;
a vocabulary of 64 is still a small one, and to the margin form it is the same. Both record mean loss, weight change and
both accuracies every 20 steps, in float64 on one thread; they agree to 1e-8 before a time is taken. The second part
trains many replicas of two behaviors at once.
"""

import copy
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch

from alignbook.arrays import engines, to_engine
from alignbook.behaviors import Behaviors, behaviors
from alignbook.dynamics import adam, gradient_descent
from alignbook.experiments.running_example import BETA, DIFFERENCES, FEATURES, NOISE, STATEMENTS

STEPS, EVERY, ROUNDS = 1000, 20, 3
VOCABULARIES = (2, 64)
DISTINGUISHABILITY = np.array([0.5, 1.0, 2.0, 4.0])
OURS = {"gradient descent": (gradient_descent, torch.optim.SGD, 1.0), "Adam": (adam, torch.optim.Adam, 0.01)}


def in_margin_form(train, data, rate) -> np.ndarray:
    """Return the course of loss, weight change and accuracies, one row a record."""
    run = itertools.islice(train(data, BETA, rate, record_every=EVERY), STEPS // EVERY + 1)
    return np.array([
        [shot.loss[..., 0].tolist(), shot.weight_change.tolist(), shot.reward_accuracy[..., 0].tolist(),
         shot.policy_accuracy[..., 0].tolist()] for shot in run
    ])  # fmt: skip


def by_autograd(optimizer, data, rate, tokens) -> np.ndarray:
    """Return the same course from four models, one after the other."""
    embeddings, labels = (torch.as_tensor(x)[:, 0] for x in data)
    runs = [one_by_autograd(optimizer, *one, rate, tokens) for one in zip(embeddings, labels, strict=True)]
    return np.stack(runs, axis=-1)


def one_by_autograd(optimizer, embeddings, labels, rate, tokens) -> list[list[float]]:
    """Train the last layer as it is usually trained; Yes is token 0 and No token 1."""
    layer = torch.nn.Linear(embeddings.shape[-1], tokens, bias=False, dtype=embeddings.dtype, device=embeddings.device)
    torch.nn.init.zeros_(layer.weight)
    reference, step_rule, course = copy.deepcopy(layer), optimizer(layer.parameters(), lr=rate), []
    chosen = (labels < 0).long()[:, None]
    for step in range(STEPS + 1):
        log_odds = log_odds_of(layer, embeddings, chosen)
        with torch.no_grad():
            ref_log_odds = log_odds_of(reference, embeddings, chosen)
        margin = BETA * (log_odds - ref_log_odds)
        loss = -torch.nn.functional.logsigmoid(margin).mean()
        if step % EVERY == 0:
            with torch.no_grad():
                shares = [float((1 + x.sign()).mean() / 2) for x in (margin, log_odds)]
                course.append([float(loss), float((layer.weight - reference.weight).norm()), *shares])
        step_rule.zero_grad()
        loss.backward()
        step_rule.step()
    return course


def log_odds_of(layer, embeddings, chosen) -> torch.Tensor:
    """Return the log-probability of the chosen answer minus that of the rejected one."""
    log_p = torch.log_softmax(layer(embeddings), dim=-1)
    return (log_p.gather(-1, chosen) - log_p.gather(-1, 1 - chosen))[:, 0]


def compare(name: str) -> None:
    """Print the time of each engine and how many times as long autograd takes, in seconds of the processor."""
    train, optimizer, rate = OURS[name]
    drawn = behaviors(DISTINGUISHABILITY[:, None] * np.eye(4, FEATURES), NOISE, num_statements=STATEMENTS)
    print(f"\n{name}, {STEPS} steps x 4 behaviors x {STATEMENTS} pairs x {FEATURES} features, each with its own head")
    for engine in engines():
        data = Behaviors(*(to_engine(x[:, None], engine) for x in drawn))
        tensors = data if "torch" in engine else Behaviors(*(torch.as_tensor(x) for x in data))
        calls = [(in_margin_form, train, data, rate)]
        calls += [(by_autograd, optimizer, tensors, rate, tokens) for tokens in VOCABULARIES]
        ours, *theirs = (call(*args) for call, *args in calls)
        for course in theirs:
            np.testing.assert_allclose(ours, course, rtol=0, atol=1e-8)
        mine, *usual = np.min([[seconds(time.process_time, *c) for c in calls] for _ in range(ROUNDS)], axis=0)
        print(f"  {engine:10}  margin form {mine:6.3f} s")
        for tokens, spent in zip(VOCABULARIES, usual, strict=True):
            print(f"{'':12}  autograd over {tokens:3} tokens {spent:6.2f} s   ratio {spent / mine:.1f}")


def replicas(count: int) -> None:
    """Print how many replicas of two behaviors, each of its own seed, an engine trains in a second of wall time."""
    statements = 50
    data = behaviors(DIFFERENCES[:, :8], NOISE, num_statements=statements, seed=range(count))
    print(f"\n{count} replicas of 2 behaviors x {statements} pairs x 8 features, 100 steps: replicas a second")
    for engine in engines():
        moved = Behaviors(*(to_engine(x, engine) for x in data))
        best = []
        for train, rate in ((gradient_descent, 1.0), (adam, 0.01)):
            last_loss(train, moved, rate)
            best.append(min(seconds(time.perf_counter, last_loss, train, moved, rate) for _ in range(ROUNDS)))
        print(f"  {engine:10}  gradient descent {count / best[0]:9.0f}   Adam {count / best[1]:9.0f}")


def last_loss(train, data, rate) -> list:
    """Train for 100 steps."""
    return next(itertools.islice(train(data, BETA, rate, record_every=100), 1, None)).loss.tolist()


def seconds(clock: Callable[[], float], call: Callable, *args) -> float:
    """Return how long one call takes on a clock."""
    began = clock()
    call(*args)
    return clock() - began


def main() -> None:
    """Print the ratios, the least times over three rounds that take turns, and the replicas a second."""
    torch.set_num_threads(1)
    for name in OURS:
        compare(name)
    for count in (256, 4096):
        replicas(count)


if __name__ == "__main__":
    main()
