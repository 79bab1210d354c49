"""Long answers by types: against all sequences one by one, and how long they may be; numpy, float64, one thread.

Seconds are of the processor. One call finds the aligned letter, the laws of tilt and best-of-N over all types, and the
divergences between them.
"""

import itertools
import os
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported

import numpy as np

from alignbook.asymptotics import FiniteLength, finite_length
from alignbook.best_of_n import best_of_n
from alignbook.information import expectation, kl_divergence
from alignbook.type_classes import MOST_TYPES, number_of_types

RATE = 0.1
LIMITS = (1.0, 10.0)  # seconds
GROWTH = 1.25


def main() -> None:
    """Print both tables."""
    against_sequences()
    reach()


def letters(alphabet: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a letter's law and rewards in steps of 1/8, whose sums are exact."""
    rng = np.random.default_rng(alphabet)
    scores = rng.standard_normal(alphabet)
    return scores - np.log(np.sum(np.exp(scores))), rng.permutation(alphabet) / 8


def against_sequences() -> None:
    """Print errors and times of sums over types and over sequences."""
    print(f"\nbest-of-N of whole answers at {RATE} nats a letter: sums over types against all sequences")
    print("  letters  length  sequences    types | error of reward, of KL |  s by types  by sequences")
    for alphabet, length in ((2, 18), (3, 11), (4, 9)):
        log_p, reward = letters(alphabet)
        found, by_types = timed(lambda x=(log_p, reward, length): finite_length(*x, RATE))
        plain, one_by_one = timed(lambda x=(log_p, reward, length): by_sequences(*x))
        off = [abs(float(a) - float(b)) for a, b in zip(found.best_of_n, plain, strict=False)]
        counts = f"{alphabet:9} {length:7} {alphabet**length:10,} {number_of_types(alphabet, length):8,}"
        print(f"{counts} | {off[0]:15.0e} {off[1]:6.0e} | {by_types:11.4f} {one_by_one:13.4f}")


def by_sequences(log_p: np.ndarray, reward: np.ndarray, length: int) -> tuple[float, float]:
    """Return best-of-N's mean reward and KL from the law of every sequence."""
    indices = np.array(list(itertools.product(range(len(log_p)), repeat=length)))
    law, total = log_p[indices].sum(-1), reward[indices].sum(-1)
    best = best_of_n(law, total, log_n=length * RATE)
    return float(expectation(best, total)), float(kl_divergence(best, law))


def reach() -> None:
    """Print the longest answers within the limits, by lengths a quarter apart."""
    print(f"\nthe longest answer within so much time (at most {MOST_TYPES:,} types are listed)")
    print("  letters |" + "".join(f" {limit:10.0f} s" for limit in LIMITS) + " |      types")
    for alphabet, start in ((2, 50_000), (3, 300), (4, 80)):
        log_p, reward = letters(alphabet)
        reached, length = dict.fromkeys(LIMITS, 0), start
        while number_of_types(alphabet, length) <= MOST_TYPES:
            spent = timed(lambda x=(log_p, reward, length): finite_length(*x, RATE))[1]
            reached = {limit: length if spent <= limit else most for limit, most in reached.items()}
            if spent > max(LIMITS):
                break
            length = int(length * GROWTH)
        row = "".join(f" {length:12,}" for length in reached.values())
        print(f"{alphabet:9} |{row} | {number_of_types(alphabet, max(reached.values())):10,}")


def timed(call) -> tuple[FiniteLength, float]:
    """Return what a call returns and the seconds it took."""
    start = time.process_time()
    found = call()
    return found, time.process_time() - start


if __name__ == "__main__":
    main()
