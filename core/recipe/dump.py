"""A recipe as text and as a hash: what a run folder keeps, and what says that two recipes are the same."""

from __future__ import annotations

import hashlib
import json
from io import StringIO

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from core.recipe.schema import Recipe


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML with every key written out; `load_resolved` reads the same recipe back."""
    writer = YAML(typ="rt", pure=True)  # keeps the order of the schema; "safe" would sort the keys
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = 1_000_000  # a folded line would have to be unfolded to be searched
    stream = StringIO()
    writer.dump(_escaped(recipe.model_dump(mode="json")), stream)
    return stream.getvalue()


def _escaped(value: object) -> object:
    """Text with characters that can't be seen goes into double quotes, where YAML escapes them.

    Elsewhere U+0085 and its like count as line breaks and would come back as spaces.
    """
    if isinstance(value, dict):
        return {_escaped(key): _escaped(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_escaped(part) for part in value]
    if isinstance(value, str) and not value.isprintable():
        return DoubleQuotedScalarString(value)
    return value


def recipe_sha256(recipe: Recipe) -> str:
    """SHA-256 over what the recipe says that is not a default, as canonical JSON.

    Independent of the order of keys and of all formatting. Defaults are left out so that a field which a later version
    adds does not change the hash of every run that was made before it.
    """
    said = recipe.model_dump(mode="json", exclude_defaults=True)
    # the type of a union's member is its own default: without it, lora and qlora would be the same recipe
    said["method"] = {**said.get("method", {}), "type": recipe.method.type}
    said["objective"] = {**said.get("objective", {}), "type": recipe.objective.type}
    content = json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()
