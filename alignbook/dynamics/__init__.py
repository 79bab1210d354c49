r"""Training on pairs, step by step: descent on a loss of the margin, its gradient in closed form.

- `dpo_descent`: a log-linear policy on the pairs' directions (Chapter 4).
- `gradient_descent`, `adam`: the last layer of a model, over `alignbook.behaviors` (Chapter 5); `evaluate` measures a
  trained layer on other statements.

A run is an iterator of snapshots that the caller ends; time is step × learning rate.
"""

from alignbook.dynamics._descent import Snapshot, dpo_descent
from alignbook.dynamics._head import HeadSnapshot, adam, evaluate, gradient_descent

__all__ = ["HeadSnapshot", "Snapshot", "adam", "dpo_descent", "evaluate", "gradient_descent"]
