r"""Best-of-N, exactly: what becomes of the reference when the best of N of its answers is kept.

An answer is kept when no draw beats it, so its law is a difference of two powers, $F^N - F_-^N$, with $F$ the chance
that one draw is at most as good and $F_-$ that it is worse; ties share in proportion to the reference. Good answers
are rare: their $F$ is 1 up to 1e-16, and the difference of the powers loses them. Here everything comes from the
logarithms of the survival $S = 1 - F$ instead. On the scale $\log(-\log(1 - S))$, N draws are a shift by log N.

N is any real number of at least 1, given as `n`, or as `log_n` where it exceeds a float. Answers lie on the last
axis, leading axes are a batch, divergences are in nats; single precision is computed in double. The order of the
rewards counts, not their size; -inf is the worst. Source: <https://arxiv.org/abs/2401.01879>.
"""

from alignbook.best_of_n._bounds import best_win_rate, kl_estimate, kl_upper_bound, win_rate_upper_bound
from alignbook.best_of_n._law import best_of_n, log_kl_to_best_of_n, sample_best_of_n
from alignbook.best_of_n._soft import soft_best_of_n

__all__ = [
    "best_of_n",
    "best_win_rate",
    "kl_estimate",
    "kl_upper_bound",
    "log_kl_to_best_of_n",
    "sample_best_of_n",
    "soft_best_of_n",
    "win_rate_upper_bound",
]
