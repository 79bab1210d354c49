"""Vouches for "What does one more draw buy?": by plain powers, by sums over the answers, by counting what is drawn."""

import itertools
import math
import re

import numpy as np
import pytest

from alignbook.experiments.declare import starts
from alignbook.experiments.what_does_one_more_draw_buy import (
    EXPERIMENT,
    POOLS,
    REWARDS,
    TENTHS,
    TIMES,
    law_of_tenths,
    percent,
    tenths_drawn,
)


def last(seed=0, **changes):
    settings = starts(EXPERIMENT) | changes
    *_, table = EXPERIMENT.run(settings, seed=seed, engine="numpy")
    return table, settings


def rows(table, part):
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True) if row[0] == part]


def masses(reward, answers, n):
    """Best-of-n on so many equally likely answers by differences of powers, in plain numpy."""
    edges = np.arange(answers + 1) / answers
    if reward == "right or wrong":
        ends = np.array([0.0, 0.7, 1.0])
    else:
        ends = edges if reward == "all different" else np.linspace(0, 1, 6)
    of_level = np.diff(ends**n) / np.diff(ends)
    return of_level[np.searchsorted(ends, edges[:-1] + 0.5 / answers) - 1] / answers


@pytest.mark.parametrize(("reward", "answers", "n"), list(itertools.product(REWARDS, POOLS, (1, 4, 64))))
def test_law_divergence_and_win_rate_are_those_of_plain_powers(reward, answers, n):
    table, settings = last(n=n, reward=reward, answers=answers)
    size = POOLS[answers] if answers != "endless" else 200_000
    law, ref = masses(reward, size, n), 1 / size
    shares = [row["share"] for row in rows(table, "law")]
    np.testing.assert_allclose(shares, law.reshape(TENTHS, -1).sum(axis=-1), rtol=0, atol=1e-9)
    (now,) = rows(table, "now")
    kl = np.sum(law[law > 0] * np.log(law[law > 0] / ref))
    assert now["kl"] == pytest.approx(kl, abs=1e-6)  # 200,000 answers stand for endless ones
    assert now["bound"] == pytest.approx(math.log(n) - 1 + 1 / n, abs=1e-12)
    estimate = now["bound"]
    if answers != "endless":
        miss = (1 - ref) ** n
        estimate = miss * (math.log(n) + (n - 1) * math.log(1 - ref) - (n - 1) / n)
        estimate += (1 - miss) * math.log((1 - miss) / ref)
    assert now["estimate"] == pytest.approx(estimate, abs=1e-11)
    assert now["loses"] >= now["least"] - 1e-12
    assert now["least"] == pytest.approx(1 / (n + 1), abs=1e-12)
    assert settings["n"] == now["n"]


@pytest.mark.parametrize(("reward", "n"), list(itertools.product(REWARDS, (1, 2, 16))))
def test_what_is_drawn_fills_the_law(reward, n):
    settings = starts(EXPERIMENT) | {"n": n, "reward": reward, "drawn": "1000 times"}
    drawn = np.concatenate([tenths_drawn(np.random.default_rng(seed), settings) for seed in range(50)])
    found = np.bincount(drawn, minlength=TENTHS + 1)[1:] / len(drawn)
    law = np.array(law_of_tenths(settings, "numpy"))
    error = np.sqrt(law * (1 - law) / len(drawn))
    assert np.all(np.abs(found - law) <= 4.5 * error + 1e-12)


def test_counts_grow_and_end_at_all_draws():
    for words, times in TIMES.items():
        table, _ = last(drawn=words)
        drawn = rows(table, "drawn")
        steps = sorted({row["step"] for row in drawn})
        assert steps[0] == 1
        assert steps[-1] == times
        for step in steps:
            assert sum(row["share"] for row in drawn if row["step"] == step) == pytest.approx(1)


def test_the_sentence_names_what_the_chart_shows():
    table, settings = last(answers="a thousand", reward="right or wrong", drawn="1000 times")
    said = EXPERIMENT.describe(table, settings)
    assert re.search(
        r"1\.20 nats; bound 3\.17, estimate 3\.17\. Against one draw of the reference it wins 85\.0 %, at most 98\.5 %",
        said,
    )
    assert re.search(r"99\.9 % of its law and 1 of 1 drawn\.$", EXPERIMENT.describe(*last(drawn="once")))
    assert [percent(x) for x in (0.5, 0.9995, 1e6 / (1e6 + 1), 1.0)] == ["50.0 %", "99.95 %", "99.9999 %", "100.0 %"]


def test_the_bet_is_the_divergence_among_ten_and_not_the_bound():
    answer = EXPERIMENT.prediction.answer(*last())
    edges = np.arange(11) / 10
    law = np.diff(edges**64)
    assert answer == pytest.approx(np.sum(law * np.log(law / 0.1)), abs=1e-12)
    assert (round(answer, 2), round(math.log(64) - 63 / 64, 2)) == (2.29, 3.17)
