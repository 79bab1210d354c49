r"""What all of best-of-N shares: its arguments, and the scale on which more draws are a shift.

On the scale of $\log(-\log(1 - x))$, x a chance, N draws add log N: the chance of at least one success among N is
$1 - (1 - x)^N$.
"""

from alignbook import checks
from alignbook.arrays import Array, Scalar, as_arrays, namespace
from alignbook.information import LogLaw, Values

LARGEST_EXPONENT = 709.0  # of e, in double precision


def checked(ref_log_p: LogLaw, reward: Values) -> tuple:
    """Refuse bad input; return the namespace, the law and the reward, in double precision."""
    checks.laws(ref_log_p=ref_log_p)
    checks.rewards(reward=reward)
    checks.same_answers(ref_log_p=ref_log_p, reward=reward)
    xp, ref_log_p, reward = as_arrays(ref_log_p, reward)
    return xp, xp.astype(ref_log_p, xp.float64), xp.astype(reward, xp.float64)


def log_of_draws(n: Scalar | None, log_n: Scalar | None, *like: Array) -> Array:
    """Return log N as an array; of N and its logarithm one is given."""
    if (n is None) == (log_n is None):
        raise ValueError(f"Give one of `n` and `log_n`, got {'neither' if n is None else 'both'}.")
    if n is None:
        checks.not_negative(log_n=log_n)
        checks.finite(log_n=log_n)
        return as_arrays(log_n, *like)[1]
    xp, draws, *_ = as_arrays(n, *like)
    checks.at_least(1, n=draws)
    checks.finite(n=draws)
    return xp.log(draws)


def log_minus_log(log_x: Array, log_rest: Array) -> Array:
    r"""Return $\log(-\log(1 - x))$ from the logarithms of x and of 1 - x, exact near both ends."""
    xp = namespace(log_x)
    tiny, half = log_x < -18, log_x < log_rest
    x = xp.exp(xp.where(half, log_x, -1.0))
    plain = xp.log(xp.where(tiny, 1.0, xp.where(half, -xp.log1p(-x), -log_rest)))
    return xp.where(tiny, log_x + x / 2, plain)


def log_some_of(log_draws: Array) -> Array:
    r"""Return $\log(1 - \exp(-e^x))$: the chance of at least one, from the log of how many are expected."""
    xp = namespace(log_draws)
    tiny = log_draws < -20
    draws = bounded_exp(log_draws)
    return xp.where(tiny, log_draws - draws / 2, xp.log(-xp.expm1(-xp.where(tiny, 1.0, draws))))


def bounded_exp(x: Array) -> Array:
    """Return e^x, of what is beyond a float the largest."""
    xp = namespace(x)
    return xp.exp(xp.where(x < LARGEST_EXPONENT, x, LARGEST_EXPONENT))
