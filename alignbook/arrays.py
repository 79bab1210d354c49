r"""Which array library holds an array, and the handful of primitives that keep logarithms honest.

Everything above is written once against the Python array API and runs on numpy, torch CPU and torch CUDA:
a function asks its arguments for their namespace and keeps their dtype and device. Torch's autograd passes
through; masked entries are replaced *before* the operation that would make their gradient nan.

Conventions: laws and scores lie on the last axis, leading axes are a batch; logarithms are natural; the
probability 0 is the log-probability -inf. Source of the standard: <https://data-apis.org/array-api/2024.12/>.
"""

import functools
import importlib
import importlib.util
import itertools
import math
import shutil
from typing import Any, NamedTuple, TypeAlias

import array_api_compat
from jaxtyping import Float, Int

Array: TypeAlias = Any  # an array of any engine; jaxtyping adds the shape
Scalar: TypeAlias = float | Array  # a number, or an array that broadcasts against the batch shape
Values: TypeAlias = Float[Array, "*#batch answers"]

_NAMESPACES: dict[tuple[type, ...], Any] = {}  # by the types of the arguments: the question is asked in every function
ENGINES = {"numpy": ("numpy", "cpu"), "torch-cpu": ("torch", "cpu"), "torch-cuda": ("torch", "cuda")}


def namespace(*arrays: Array) -> Any:
    """Return the array API namespace of the arguments; plain numbers do not count, no array at all is numpy."""
    kinds = tuple(map(type, arrays))
    if kinds not in _NAMESPACES:
        held = [array for array in arrays if array_api_compat.is_array_api_obj(array)]
        found = array_api_compat.array_namespace(*held) if held else importlib.import_module("array_api_compat.numpy")
        _NAMESPACES[kinds] = found
    return _NAMESPACES[kinds]


def engines() -> tuple[str, ...]:
    """Name the engines this machine offers, without importing any of them.

    A CUDA engine is listed when torch and a driver are present; whether torch was built for it is known
    only once it is chosen.
    """
    has_torch = importlib.util.find_spec("torch") is not None
    has_cuda = has_torch and shutil.which("nvidia-smi") is not None
    return ("numpy",) + ("torch-cpu",) * has_torch + ("torch-cuda",) * has_cuda


def to_engine(values: Any, engine: str, dtype: str = "float64") -> Array:
    """Move numbers or a numpy array to an engine: every engine sees the same data.

    Raises ValueError if the engine is unknown, RuntimeError if it cannot be used here.
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {', '.join(ENGINES)}, got {engine!r}.")
    library, device = ENGINES[engine]
    if library == "torch" and importlib.util.find_spec("torch") is None:
        raise RuntimeError(f"`engine` {engine!r} needs torch, which is not installed: pip install torch.")
    xp = importlib.import_module(f"array_api_compat.{library}")
    if device == "cuda" and not xp.cuda.is_available():
        raise RuntimeError("`engine` 'torch-cuda' needs a GPU and a torch built for it; torch finds none.")
    return xp.asarray(values, dtype=getattr(xp, dtype), device=device)


def as_arrays(*values: Any) -> tuple[Any, ...]:
    """Return the namespace and the values as floating arrays of one dtype and device, the first array's.

    Numbers and lists follow the arrays; without any array they become numpy float64.
    """
    xp = namespace(*values)
    floating = [array_api_compat.is_array_api_obj(v) and is_floating(v) for v in values]
    if all(floating):
        return (xp, *values)
    like = next(itertools.compress(values, floating), None)
    device = None if like is None else array_api_compat.device(like)
    dtype = xp.float64 if like is None else like.dtype
    held = (
        v if is_so else xp.asarray(v, dtype=dtype, device=device) for v, is_so in zip(values, floating, strict=True)
    )
    return (xp, *held)


def per_law(xp: Any, scalar: Scalar, like: Array) -> Array:
    """Return a scalar argument as an array with a last axis of length one, ready to meet laws like `like`.

    The scalar takes the dtype and device of `like`, so that one number serves a batch of any engine.
    """
    if array_api_compat.is_array_api_obj(scalar):
        return xp.astype(scalar, like.dtype)[..., None]  # asarray would cut torch's graph
    return xp.asarray(scalar, dtype=like.dtype, device=array_api_compat.device(like))[..., None]


def is_floating(array: Array) -> bool:
    """Tell whether an array holds floating-point numbers."""
    return _is_floating(namespace(array), array.dtype)


@functools.cache
def _is_floating(xp: Any, dtype: Any) -> bool:
    return bool(xp.isdtype(dtype, "real floating"))


def logsumexp(x: Float[Array, "*batch answers"]) -> Float[Array, "*batch"]:
    r"""Return $\log \sum_y e^{x_y}$ over the last axis, without overflow; all -inf gives -inf, any inf gives inf.

    >>> float(logsumexp(as_arrays([1000.0, 1000.0])[1]))
    1000.6931471805599
    """
    xp = namespace(x)
    top = xp.max(x, axis=-1, keepdims=True)
    endless = top == math.inf
    top = xp.where(xp.isfinite(top), top, 0.0)
    total = xp.sum(xp.exp(xp.where(endless, 0.0, x - top)), axis=-1)
    empty = total == 0
    log_total = xp.log(xp.where(empty, 1.0, total)) + top[..., 0]
    return xp.where(endless[..., 0], math.inf, xp.where(empty, -math.inf, log_total))


def log_mean_exp(log_p: Values, x: Values) -> Float[Array, "*batch"]:
    r"""Return $\log E_{y \sim p}\, e^{x_y}$, exact to rounding also where it is near 0.

    A mean near 1 goes through $E(e^x - 1)$ and log1p, so that $\log E e^{ux}/u$ keeps its digits as $u \to 0$.
    The law is renormalized, so that its own rounding does not count; where p is 0, x does not matter.
    """
    xp = namespace(log_p)
    x = masked(x, log_p > -math.inf)
    law, low = xp.exp(log_p), x < 0.5
    lifted = xp.exp(xp.where(low, -math.inf, xp.clip(log_p + x, max=1.0)))  # no overflow where it is not used
    excess = xp.sum(xp.where(low, law * xp.expm1(masked(x, low)), lifted - law), axis=-1) / xp.sum(law, axis=-1)
    near = xp.abs(excess) < 0.7
    return xp.where(near, xp.log1p(masked(excess, near)), logsumexp(log_p + x) - logsumexp(log_p))


def log_softmax(x: Float[Array, "*batch answers"]) -> Float[Array, "*batch answers"]:
    r"""Return $x_y - \log \sum_z e^{x_z}$: scores to log-probabilities over the last axis."""
    xp = namespace(x)
    top = xp.max(x, axis=-1, keepdims=True)
    gap = x - xp.where(xp.isfinite(top), top, 0.0)  # before the sum, so that huge scores keep their normalizer
    return gap - xp.log(xp.sum(xp.exp(gap), axis=-1, keepdims=True))


def log_sigmoid(x: Array) -> Array:
    r"""Return $\log \sigma(x) = -\log(1 + e^{-x})$, exact in both tails.

    Written as a logaddexp, since torch's softplus turns into the identity at 20 and is off by 2e-9 there.
    """
    xp, x = as_arrays(x)
    return -xp.logaddexp(xp.zeros_like(x), -x)


def log_normal_cdf(x: Scalar) -> Float[Array, "..."]:
    r"""Return $\log \Phi(x)$, of the standard normal law's distribution function, with its digits in both tails.

    $\operatorname{erfc} x = \frac{2 x e^{-x^2}}{\pi} \int_0^\infty \frac{e^{-t^2}}{x^2 + t^2} dt$ by the midpoint
    rule of step 1/2, plus $2/(1 + e^{4 \pi x})$ for the pole it steps over; its error is of order $e^{-4 \pi^2}$. The
    array API has no erf.
    """
    xp, at = as_arrays(x)
    size = xp.clip(xp.where(at > 0, at, -at) / math.sqrt(2), max=1e18)
    squares = ((xp.arange(13, dtype=at.dtype, device=array_api_compat.device(at)) + 0.5) / 2) ** 2
    integral = xp.sum(xp.exp(-squares) / (size[..., None] ** 2 + squares), axis=-1) / 2
    near = masked(size, size < 2 * math.pi)
    pole = xp.where(size < 2 * math.pi, xp.exp(near**2) / (1 + xp.exp(4 * math.pi * near)), 0.0)
    log_tail = xp.log(size * integral / math.pi + pole) - at**2 / 2
    return xp.where(at > 0, xp.log1p(-xp.exp(xp.where(at > 0, log_tail, -1.0))), log_tail)


def log1mexp(x: Array) -> Array:
    r"""Return $\log(1 - e^{x})$ for $x \le 0$, exact near 0 and far below; -inf at 0.

    Source: <https://cran.r-project.org/web/packages/Rmpfr/vignettes/log1mexp-note.pdf>.
    """
    xp, x = as_arrays(x)
    close = x > -math.log(2)
    near = xp.where(close & (x < 0), x, -1.0)
    far = xp.where(close, -1.0, x)
    result = xp.where(close, xp.log(-xp.expm1(near)), xp.log1p(-xp.exp(far)))
    return xp.where(x == 0, -math.inf, result)


def masked(x: Array, keep: Array) -> Array:
    """Return x where `keep` holds and 0 elsewhere; what is left out passes no nan into values or gradients."""
    return namespace(x).where(keep, x, 0.0)


def draw(log_weights: Values, uniforms: Float[Array, "*#batch"]) -> Int[Array, "*_batch"]:
    r"""Return the answer that a uniform draw from [0, 1) picks: the first whose cumulative share exceeds it.

    The weights $e^{x_y}$ need not sum to one; an answer of weight 0 is never picked. One draw for each law:
    `log_weights[..., None, :]` serves many.

    >>> draw(as_arrays([0.0, 0.0, -math.inf])[1][None, :], as_arrays([0.1, 0.5, 0.999])[1]).tolist()
    [0, 1, 1]
    """
    xp = namespace(log_weights)
    up_to = xp.cumulative_sum(xp.exp(log_weights - xp.max(log_weights, axis=-1, keepdims=True)), axis=-1)
    passed = up_to / up_to[..., -1:] <= uniforms[..., None]
    return xp.sum(xp.astype(passed, xp.int64), axis=-1)


class TieRanges(NamedTuple):
    """A reward in rising order: `order` sorts it; `first` and `last` are each sorted answer's ends of its ties."""

    order: Array
    first: Array
    last: Array


def tie_ranges(reward: Float[Array, "*batch answers"]) -> TieRanges:
    """Sort a reward along the last axis and tell, per sorted answer, the first and last index of its ties.

    >>> tie_ranges(as_arrays([3.0, 1.0, 3.0])[1]).first.tolist()
    [0, 1, 1]
    """
    xp = namespace(reward)
    order = xp.argsort(reward, axis=-1, stable=True)
    ranked = xp.take_along_axis(reward, order, axis=-1)
    starts_here = xp.concat([xp.ones_like(order[..., :1]) == 1, ranked[..., 1:] != ranked[..., :-1]], axis=-1)
    group = xp.cumulative_sum(xp.astype(starts_here, order.dtype), axis=-1) - 1
    count = reward.shape[-1]
    place = xp.arange(count, dtype=order.dtype, device=array_api_compat.device(order))
    end = xp.full_like(order[..., :1], count)
    starts = xp.concat([xp.sort(xp.where(starts_here, place, end), axis=-1), end], axis=-1)
    first = xp.take_along_axis(starts, group, axis=-1)
    return TieRanges(order, first, xp.take_along_axis(starts, group + 1, axis=-1) - 1)
