"""From a recipe's method to the PEFT configuration that trains it; `full` needs none.

It must not load weights or touch a trainer.
"""

from __future__ import annotations

from peft import LoraConfig

from core.recipe.schema import LoraMethod, Method, QloraMethod


def peft_config(method: Method) -> LoraConfig | None:
    """The adapter that `method` trains, or None where all weights are trained."""
    if not isinstance(method, (LoraMethod, QloraMethod)):
        return None
    targets = method.lora_target_modules
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=method.lora_r,
        lora_alpha=method.lora_alpha,
        lora_dropout=method.lora_dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        bias="none",
    )
