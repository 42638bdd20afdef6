"""What keeps a workspace in order: `fsck` looks, `gc` gives space back, `remove` takes runs away.

This is the front door of three modules, one for each; it must hold no logic of its own.
"""

from core.runs.collect import GcItem, GcPlan, GcReport, gc, gc_plan
from core.runs.fsck import FsckFinding, FsckReport, fsck
from core.runs.remove import RemoveItem, RemovePlan, remove, remove_plan

__all__ = [
    "FsckFinding",
    "FsckReport",
    "GcItem",
    "GcPlan",
    "GcReport",
    "RemoveItem",
    "RemovePlan",
    "fsck",
    "gc",
    "gc_plan",
    "remove",
    "remove_plan",
]
