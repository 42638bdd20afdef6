"""The learning rate as it is planned, from the run's own recipe and the plan that its worker announced.

Reads one file and may import pydantic and YAML: for a thread, never for the app's own one.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import FinetuiError

POINTS = 1000
"""More points than any chart has columns."""


def planned_rates(recipe_file: Path, max_steps: int) -> tuple[tuple[tuple[int, float], ...], str]:
    """(step, learning rate) points of the whole plan and the schedule in words; nothing where there is no recipe."""
    from core.recipe.load import load_resolved
    from core.recipe.schedule import learning_rates, plan_steps

    try:
        recipe = load_resolved(recipe_file)
        train = recipe.train.model_copy(update={"max_steps": max_steps})
        recipe = recipe.model_copy(update={"train": train})
        plan = plan_steps(recipe, train_rows=1)
        rates = learning_rates(recipe, plan)
    except (FinetuiError, OSError):  # an imported run may have no recipe; the chart then shows what was done
        return (), ""
    stride = max(1, len(rates) // POINTS)
    steps = sorted({*range(0, len(rates), stride), len(rates) - 1, min(plan.warmup_steps, len(rates) - 1)})
    warmup = f" warmup {plan.warmup_steps}" if plan.warmup_steps else ""
    return tuple((step + 1, rates[step]) for step in steps), f"{train.lr_scheduler_type}{warmup}"
