r"""Training on pairs, step by step: descent on a loss of the margin, its gradient in closed form.

- `dpo_descent`: a log-linear policy on the pairs' directions (Chapter 4).
- `gradient_descent`, `adam`: the last layer of a model, over `alignbook.behaviors` (Chapter 5); `evaluate` measures a
  trained layer on other statements.
- `noise_free_margin` and its kin: what a run must be, without noise or with a Gaussian's; `accuracy_lower_bound` and
  its kin: what it is promised (Chapters 5 and 6).
- `two_layer_flow`, `two_layer_descent`: features that move with the head, and flipped labels (Chapter 8).

A run is an iterator of snapshots that the caller ends; time is step × learning rate.
"""

from alignbook.dynamics._bounds import (
    accuracy_lower_bound,
    linear_regime_error,
    off_course,
    waiting_time,
    weight_change_bound,
)
from alignbook.dynamics._closed_forms import (
    PEAK_MARGIN,
    bayes_head,
    gaussian_flow,
    gaussian_policy_accuracy,
    gaussian_reward_accuracy,
    noise_free_loss,
    noise_free_margin,
    noise_free_weight_change,
    normal_cdf,
    peak_time,
)
from alignbook.dynamics._descent import Snapshot, dpo_descent
from alignbook.dynamics._head import HeadSnapshot, adam, evaluate, gradient_descent
from alignbook.dynamics._moving_features import (
    TwoLayers,
    TwoLayerSnapshot,
    two_layer_balance,
    two_layer_descent,
    two_layer_flow,
)

__all__ = [
    "PEAK_MARGIN",
    "HeadSnapshot",
    "Snapshot",
    "TwoLayerSnapshot",
    "TwoLayers",
    "accuracy_lower_bound",
    "adam",
    "bayes_head",
    "dpo_descent",
    "evaluate",
    "gaussian_flow",
    "gaussian_policy_accuracy",
    "gaussian_reward_accuracy",
    "gradient_descent",
    "linear_regime_error",
    "noise_free_loss",
    "noise_free_margin",
    "noise_free_weight_change",
    "normal_cdf",
    "off_course",
    "peak_time",
    "two_layer_balance",
    "two_layer_descent",
    "two_layer_flow",
    "waiting_time",
    "weight_change_bound",
]
