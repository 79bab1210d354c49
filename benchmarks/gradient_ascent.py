"""1000 steps × 256 seeds of gradient ascent: closed-form gradients against the usual autograd loop.

Once along the exact gradient of 50 answers, once along RLOO's estimate from 16 of 4 answers. Both loops climb in
float64 on one thread from the same logits, with the same samples, and record the mean objective every 20 steps; the
courses agree to 1e-8 before a time is taken.
"""

import time

import numpy as np
import torch

from alignbook.arrays import engines, to_engine
from alignbook.gradient_estimators import (
    at_answers,
    inverse_cdf,
    penalized_reward,
    rloo_advantages,
    score_gradient,
)
from alignbook.policy_gradient import gradient_ascent, stochastic_gradient_ascent

STEPS, SEEDS, GROUP, EVERY = 1000, 256, 16, 20
BETA, RATE = 0.5, 1.0


def mean_objectives(climb) -> list[float]:
    """Return the course of the mean objective."""
    return [float(snapshot.objective.mean()) for _, snapshot in zip(range(STEPS // EVERY + 1), climb, strict=False)]


def exact(ref, reward, start) -> list[float]:
    """Climb by the package's loop along the exact gradient."""
    return mean_objectives(gradient_ascent(ref, reward, BETA, RATE, start_logits=start, record_every=EVERY))


def sampled(ref, reward, start) -> list[float]:
    """Climb by the package's loop along RLOO's estimate."""

    def rloo(log_p, samples):
        values = at_answers(penalized_reward(log_p, ref, reward, BETA), samples)
        return score_gradient(log_p, samples, rloo_advantages(values))

    options = {"group_size": GROUP, "start_logits": start, "record_every": EVERY}
    return mean_objectives(stochastic_gradient_ascent(rloo, ref, reward, BETA, RATE, **options))


def autograd(ref, reward, start, loss) -> list[float]:
    """Return the course as it is usually trained: a batched loss, backward, a step."""
    logits = start.clone().requires_grad_()
    course = []
    for step in range(STEPS + 1):
        log_p = torch.log_softmax(logits, dim=-1)
        penalized = reward - BETA * (log_p - ref)
        if step % EVERY == 0:
            course.append(float((log_p.exp() * penalized).detach().sum(-1).mean()))
        (gradient,) = torch.autograd.grad(loss(log_p, penalized).sum(), logits)
        logits = (logits - RATE * gradient).detach().requires_grad_()
    return course


def exact_by_autograd(ref, reward, start) -> list[float]:
    """Climb with the objective itself as what autograd sees."""
    return autograd(ref, reward, start, lambda log_p, penalized: -(log_p.exp() * penalized))


def sampled_by_autograd(ref, reward, start) -> list[float]:
    """Climb with the log-probabilities of the samples, weighted by constant advantages."""
    random = np.random.default_rng(0)

    def loss(log_p, penalized):
        samples = inverse_cdf(log_p.detach(), random.random((SEEDS, GROUP)))
        values = torch.gather(penalized.detach(), -1, samples)
        advantages = (values - values.mean(-1, keepdim=True)) * GROUP / (GROUP - 1)
        return -(advantages * torch.gather(log_p, -1, samples)).mean(-1)

    return autograd(ref, reward, start, loss)


def seconds(course, arrays) -> float:
    """Time one climb."""
    began = time.perf_counter()
    course(*arrays)
    return time.perf_counter() - began


def compare(what, answers, ours, theirs) -> None:
    """Print the time of each engine and how many times as long autograd takes."""
    random = np.random.default_rng(0)
    drawn = (np.full(answers, -np.log(answers)), random.random(answers), random.standard_normal((SEEDS, answers)))
    print(f"\n{what}, {STEPS} steps x {SEEDS} seeds x {answers} answers: closed form against torch autograd")
    for engine in engines():
        data = [to_engine(values, engine) for values in drawn]
        tensors = [torch.as_tensor(values) for values in data]
        np.testing.assert_allclose(ours(*data), theirs(*tensors), rtol=0, atol=1e-8)
        times = [(seconds(ours, data), seconds(theirs, tensors)) for _ in range(3)]
        mine, usual = np.min(times, axis=0)
        print(f"  {engine:10}  closed form {mine:6.2f} s   autograd {usual:6.2f} s   ratio {usual / mine:.1f}")


def main() -> None:
    """Print both tables, with the least times over three rounds that take turns."""
    torch.set_num_threads(1)
    compare("gradient ascent", 50, exact, exact_by_autograd)
    compare(f"ascent by RLOO, groups of {GROUP}", 4, sampled, sampled_by_autograd)


if __name__ == "__main__":
    main()
