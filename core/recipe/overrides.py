"""`--set a.b=c`: one value of a raw recipe put in place from the command line, into lists too.

Values are read as YAML 1.2, like the file's own. It must not know which keys exist: validation says that afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.errors import Problem, RecipeError
from core.recipe.document import MAX_DEPTH, KeyPath, Value, dotted, parse_document
from core.recipe.problems import OVERRIDE
from core.text import safe_line


@dataclass(slots=True)
class Overridden:
    """A recipe's raw value after all overrides, and which keys they set."""

    value: Value
    paths: list[KeyPath] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _Misplaced(Exception):
    """A key leads nowhere; the text says why."""


def apply_overrides(value: Value, overrides: Sequence[str]) -> Overridden:
    """`value` with each `KEY=VALUE` put in, in order; `value` itself stays as it is."""
    result = Overridden(value)
    for override in overrides:
        key, equals, text = override.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")) or key.count(".") >= MAX_DEPTH:
            what = f"{safe_line(override, 80)!r} is not of the form key=value"
            result.problems.append(Problem(OVERRIDE, None, "", what, "as in --set train.max_steps=20"))
            continue
        try:
            document = parse_document(text, OVERRIDE)
            result.value, path = _put(result.value, key.split("."), document.value)
        except RecipeError as error:
            hint = "quote the value for YAML, as in --set 'name=\"a: b\"'"
            result.problems += [Problem(OVERRIDE, None, safe_line(key, 200), p.what, hint) for p in error.problems]
        except _Misplaced as error:
            result.problems.append(Problem(OVERRIDE, None, safe_line(key, 200), str(error)))
        else:
            result.problems += [Problem(OVERRIDE, None, safe_line(key, 200), p.what) for p in document.problems]
            result.paths.append(path)
    return result


def _put(container: Value, parts: Sequence[str], value: Value, done: KeyPath = ()) -> tuple[Value, KeyPath]:
    """`container` with `value` at `parts`, and the path that it has there (list positions as numbers)."""
    if not parts:
        return value, done
    head, rest = parts[0], parts[1:]
    if isinstance(container, tuple) or (container is None and head.isdecimal()):
        return _put_item(container or (), head, rest, value, done)
    if container is None or isinstance(container, dict):
        mapping = dict(container or {})
        mapping[head], path = _put(mapping.get(head), rest, value, (*done, head))
        return mapping, path
    raise _Misplaced(f"{dotted(done)} is a single value and holds no keys")


def _put_item(
    items: tuple[Value, ...], head: str, rest: Sequence[str], value: Value, done: KeyPath
) -> tuple[Value, KeyPath]:
    if not head.isdecimal() or len(head) > 6:
        raise _Misplaced(f"{dotted(done)} is a list; name an item by its number, as in {dotted((*done, 0))}")
    index = int(head)
    if index > len(items):
        raise _Misplaced(f"{dotted(done)} has {len(items)} items; the next free number is {len(items)}")
    old = items[index] if index < len(items) else None
    new, path = _put(old, rest, value, (*done, index))
    return (*items[:index], new, *items[index + 1 :]), path


def remove(container: Value, path: KeyPath) -> Value:
    """`container` without the key at `path`, in its lists too; an item of a list stays, since the others would move."""
    head = path[0]
    if isinstance(container, tuple) and isinstance(head, int) and head < len(container) and len(path) > 1:
        return (*container[:head], remove(container[head], path[1:]), *container[head + 1 :])
    if not isinstance(container, dict) or head not in container:
        return container
    if len(path) == 1:
        return {key: value for key, value in container.items() if key != head}
    return {key: remove(value, path[1:]) if key == head else value for key, value in container.items()}
