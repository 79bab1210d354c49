r"""Long answers: independent letters, a reward that adds up, and how tilt and best-of-N compare as the length grows.

An answer is a sequence of n letters, each drawn from `log_p`; its reward is the sum of its letters' rewards. The tilt
of the whole is a tilt of each letter, best-of-N is not. With $N = e^{n \delta}$ draws both cost $\delta$ nats a letter.

- Large deviations: `log_mgf`, `scaled_cumulant`, `rate_function`, `aligned_letter`, `bahadur_rao`.
- Any length, exactly, by types: `finite_length`; letters of normal reward: `gaussian_finite_length`. The limits a
  letter: `limits`.
- What stays between them: `refined_gap`, `lattice_gap`. A fixed number of draws instead: `fixed_n_limits`.
- Letters that depend on the one before: `markov_log_mgf`, `tilted_chain`.

Laws lie on the last axis, leading axes are a batch, divergences are in nats, totals are over the sequence. Totals that
differ by rounding alone, by at most 1e-12 of the length times the largest $|r|$, are ties.
Source: <https://arxiv.org/abs/2404.01730>.
"""

from alignbook.asymptotics._finite_length import Account, FiniteLength, finite_length
from alignbook.asymptotics._gaps import FixedN, fixed_n_limits, lattice_gap, refined_gap
from alignbook.asymptotics._gaussian import GaussianLength, gaussian_finite_length
from alignbook.asymptotics._large_deviations import (
    Limits,
    aligned_letter,
    bahadur_rao,
    limits,
    log_mgf,
    rate_function,
    scaled_cumulant,
)
from alignbook.asymptotics._markov import TiltedChain, markov_log_mgf, tilted_chain

__all__ = [
    "Account",
    "FiniteLength",
    "FixedN",
    "GaussianLength",
    "Limits",
    "TiltedChain",
    "aligned_letter",
    "bahadur_rao",
    "finite_length",
    "fixed_n_limits",
    "gaussian_finite_length",
    "lattice_gap",
    "limits",
    "log_mgf",
    "markov_log_mgf",
    "rate_function",
    "refined_gap",
    "scaled_cumulant",
    "tilted_chain",
]
