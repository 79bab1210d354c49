"""1000 steps × 256 seeds × 50 answers of gradient ascent: closed-form gradients against the usual autograd loop.

Both climb from the same logits in float64 on one thread and record the mean objective every 20 steps; the
courses agree to 1e-8 before a time is taken.
"""

import time

import numpy as np
import torch

from alignbook.arrays import engines, to_engine
from alignbook.policy_gradient import gradient_ascent

STEPS, SEEDS, ANSWERS, EVERY = 1000, 256, 50, 20
BETA, RATE = 0.5, 1.0


def closed_form(ref, reward, start) -> list[float]:
    """Return the course of the mean objective by the package's loop."""
    climb = gradient_ascent(ref, reward, BETA, RATE, start_logits=start, record_every=EVERY)
    return [float(snapshot.objective.mean()) for _, snapshot in zip(range(STEPS // EVERY + 1), climb, strict=False)]


def autograd(ref, reward, start) -> list[float]:
    """Return the same course as it is usually trained: a batched loss, backward, a step."""
    logits = start.clone().requires_grad_()
    course = []
    for step in range(STEPS + 1):
        log_p = torch.log_softmax(logits, dim=-1)
        objective = (log_p.exp() * (reward - BETA * (log_p - ref))).sum(-1)
        if step % EVERY == 0:
            course.append(float(objective.detach().mean()))
        (gradient,) = torch.autograd.grad(objective.sum(), logits)
        logits = (logits + RATE * gradient).detach().requires_grad_()
    return course


def main() -> None:
    """Print the time of each engine and how many times as long autograd takes."""
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    drawn = (np.full(ANSWERS, -np.log(ANSWERS)), random.random(ANSWERS), random.standard_normal((SEEDS, ANSWERS)))
    print(f"\ngradient ascent, {STEPS} steps x {SEEDS} seeds x {ANSWERS} answers: closed form against torch autograd")
    for engine in engines():
        data = [to_engine(values, engine) for values in drawn]
        tensors = [torch.as_tensor(values) for values in data]
        np.testing.assert_allclose(closed_form(*data), autograd(*tensors), rtol=0, atol=1e-8)
        times = []
        for course, arrays in ((closed_form, data), (autograd, tensors)):
            began = time.perf_counter()
            course(*arrays)
            times.append(time.perf_counter() - began)
        ours, theirs = times
        print(f"  {engine:10}  closed form {ours:6.2f} s   autograd {theirs:6.2f} s   ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
