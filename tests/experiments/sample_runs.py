"""Makes the logs in `alignbook/experiments/own_run_samples`: DPO on two small policies, logged as trainers do.

`python -m tests.experiments.sample_runs` writes them anew; a test holds the files against what this makes.
"""

import csv
import io
import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[2] / "alignbook/experiments/own_run_samples"
STEPS, EVERY = 600, 10
LETTERS, LENGTH, BATCH = 26, 60, 32
BETA, PEAK, WARM_UP = 0.25, 0.008, 60


def letter_strings() -> dict:
    """AdamW with warm-up and a cosine, one epoch: a policy of letters learns from pairs of noisily judged strings.

    A string counts how often it has each letter; a policy draws its letters one by one. The letters share one
    normalizer, so that raising what chosen strings have more of lowers the chosen strings themselves.
    """
    rng = np.random.default_rng(0)
    data = np.exp(0.7 * rng.standard_normal(LETTERS))
    edges = np.cumsum(data / data.sum())
    taste = 0.3 * rng.standard_normal(LETTERS)

    def pairs(count):
        drawn = np.searchsorted(edges, rng.random((2, count, LENGTH)) * edges[-1], side="right")
        left, right = (drawn[..., None] == np.arange(LETTERS)).sum(axis=-2).astype(float)
        first = rng.random(count)[:, None] < 1 / (1 + np.exp(-(left - right) @ taste))[:, None]
        return np.where(first, left, right), np.where(first, right, left)

    chosen, rejected = pairs(STEPS * BATCH)
    held_out = pairs(400)
    weights, mean, square = np.zeros((3, LETTERS))
    history, since = [], []
    for step in range(1, STEPS + 1):
        batch = slice((step - 1) * BATCH, step * BATCH)
        features = BETA * (chosen[batch] - rejected[batch])
        slope = -(features / (1 + np.exp(features @ weights))[:, None]).mean(axis=0)
        since.append(metrics(weights, chosen[batch], rejected[batch]) | {"grad_norm": np.linalg.norm(slope)})
        decayed = 0.5 * (1 + np.cos(np.pi * max(0, step - WARM_UP) / (STEPS - WARM_UP)))
        rate = PEAK * min(1, step / WARM_UP) * decayed
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        weights = weights - rate * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        when = {"epoch": step / STEPS, "step": step}
        if step == 1 or step % EVERY == 0:
            history.append(means(since) | {"learning_rate": rate} | when)
            since = []
        if step % 100 == 0:
            history.append({f"eval_{name}": value for name, value in metrics(weights, *held_out).items()} | when)
    history.append({"train_loss": np.mean([row["loss"] for row in history if "loss" in row]), **when})
    rounded = [{name: shortened(value) for name, value in sorted(row.items())} for row in history]
    return {"global_step": STEPS, "log_history": rounded, "max_steps": STEPS}


def metrics(weights, chosen, rejected):
    """What TRL logs of a batch of pairs of letter counts."""
    normalizer = LENGTH * np.log(np.exp(weights).mean())
    log_ratios = [strings @ weights - normalizer for strings in (chosen, rejected)]
    rewards = [BETA * ratio for ratio in log_ratios]
    margin = rewards[0] - rewards[1]
    return {
        "loss": np.logaddexp(0, -margin).mean(),
        "rewards/chosen": rewards[0].mean(),
        "rewards/rejected": rewards[1].mean(),
        "rewards/margins": margin.mean(),
        "rewards/accuracies": (margin > 0).mean(),
        "logps/chosen": log_ratios[0].mean() - LENGTH * np.log(LETTERS),
        "logps/rejected": log_ratios[1].mean() - LENGTH * np.log(LETTERS),
    }


def one_pair() -> str:
    """Gradient descent on one pair, as a tracker's table: three answers with two features each, nothing random."""
    features = np.array([[1.0, 0.2], [0.5, 0.0], [2.0, -0.3]])
    reference = np.log([0.3, 0.65, 0.05])
    weights, rate = np.zeros(2), 0.05
    rows, since = [], []
    for step in range(1, STEPS + 1):
        scores = reference + features @ weights
        chosen, rejected, _ = scores - np.log(np.exp(scores).sum()) - reference
        margin = chosen - rejected
        since.append({"loss": np.logaddexp(0, -margin), "rewards/chosen": chosen, "rewards/rejected": rejected})
        weights = weights + rate * (features[0] - features[1]) / (1 + np.exp(margin))
        if step % EVERY == 0:
            rows.append({"global_step": step} | means(since) | {"rewards/accuracies": 1, "learning_rate": rate})
            since = []
    table = io.StringIO()
    writer = csv.DictWriter(table, [f"train/{name}" for name in rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows({f"train/{name}": shortened(value) for name, value in row.items()} for row in rows)
    return table.getvalue()


def means(rows):
    """The means of the rows since the last logged one."""
    return {name: np.mean([row[name] for row in rows]) for name in rows[0]}


def shortened(value):
    """Five significant digits."""
    return value if isinstance(value, int) else float(f"{value:.5g}")


def main() -> None:
    """Write both."""
    FOLDER.mkdir(exist_ok=True)
    state = json.dumps(letter_strings(), separators=(",", ":")).replace('{"epoch', '\n{"epoch')
    (FOLDER / "letter_strings.json").write_text(state + "\n", "utf-8")
    (FOLDER / "one_pair.csv").write_text(one_pair(), "utf-8")


if __name__ == "__main__":
    main()
