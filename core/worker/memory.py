"""An out-of-memory error turned into advice: what to change in the recipe, most helpful first, with its numbers.

It must not touch the device: after such an error even a small question can fail.
"""

from __future__ import annotations

from core.recipe.schema import Recipe
from core.units import format_bytes

_QUANTISED_SHARE = 0.29
"""NF4 with double quantisation takes 0.516 bytes a weight; with embeddings and head in bfloat16, 0.25 to 0.35 of it."""


def memory_advice(recipe: Recipe, facts: dict[str, float]) -> tuple[str, ...]:
    """Whole sentences, ranked by how much memory they free for how little loss.

    `facts`, where known: weight_bytes, device_memory_bytes, longest_row_tokens.
    """
    train = recipe.train
    advice: list[str] = []
    if "device_memory_bytes" in facts:
        held = f" of which the weights take {format_bytes(facts['weight_bytes'])}" if "weight_bytes" in facts else ""
        advice.append(f"The device has {format_bytes(facts['device_memory_bytes'])},{held or ' all of it in use'}.")
    if not train.activation_checkpointing:
        advice.append("Set train.activation_checkpointing=true: most activations are recomputed, about a third slower.")
    batch, accumulation = train.per_device_train_batch_size, train.gradient_accumulation_steps
    if batch > 1:
        advice.append(
            f"Set train.per_device_train_batch_size={batch // 2} and "
            f"train.gradient_accumulation_steps={accumulation * batch // (batch // 2)}: the same effective batch of "
            f"{batch * accumulation} rows with half of the activations."
        )
    longest = int(facts.get("longest_row_tokens", recipe.data.max_length))
    if longest > 256:
        advice.append(
            f"Set data.max_length={longest // 2}: the longest row has {longest} tokens, and activations grow with it."
        )
    advice += _method_advice(recipe, facts)
    if recipe.method.type == "full" and not train.optim.endswith("8bit"):
        advice.append("Set train.optim=adamw_8bit: the optimizer's state takes a quarter.")
    return tuple(advice)


def _method_advice(recipe: Recipe, facts: dict[str, float]) -> list[str]:
    weights = facts.get("weight_bytes")
    if recipe.method.type == "full":
        saved = f": {format_bytes(3 * weights)} of gradients and optimizer state disappear" if weights else ""
        return [f"Set method.type=lora{saved}."]
    if recipe.method.type == "lora":
        saved = (
            f": the base shrinks from {format_bytes(weights)} to about {format_bytes(weights * _QUANTISED_SHARE)}"
            if weights
            else ": the base is held in 4 bits"
        )
        return [f"Set method.type=qlora{saved}."]
    return ["Take a smaller base model."]
