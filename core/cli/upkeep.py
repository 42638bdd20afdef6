"""`finetui doctor, fsck, rebuild`: findings about the machine and the workspace, and the database made anew."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from core.cli import output
from core.cli.command import Command
from core.cli.json_values import JsonInput
from core.cli.reading import workspace_of

if TYPE_CHECKING:
    from core.runs.doctor import Finding
    from core.runs.upkeep import FsckFinding


def _configure_fsck(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="compare sizes only, do not read every checkpoint's bytes")


def _configure_nothing(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults()


def doctor(arguments: argparse.Namespace) -> int:
    """Print what was found; exit 1 where something will not work."""
    from core.runs.doctor import doctor as examine

    findings = examine(workspace_of(arguments))
    if arguments.json:
        output.print_json([_finding_object(finding) for finding in findings])
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            output.print_text(f"{finding.level:<7}  {finding.subject:<{width}}  {finding.message}")
            if finding.try_this:
                output.print_text(f"{'':<{9 + width}}  try: {finding.try_this}")
    return 1 if any(finding.level == "error" for finding in findings) else 0


def fsck(arguments: argparse.Namespace) -> int:
    """Print what is missing, altered or left over; exit 1 where something was lost or altered."""
    from core.runs.upkeep import fsck as examine

    report = examine(workspace_of(arguments), deep=not arguments.quick)
    if arguments.json:
        findings: list[JsonInput] = [_fsck_object(finding) for finding in report.findings]
        output.print_json({"runs": report.runs, "checkpoints": report.checkpoints, "findings": findings})
    else:
        for finding in report.findings:
            hint = f" (try: {finding.try_this})" if finding.try_this else ""
            output.print_text(f"{finding.level}: {finding.message}{hint}")
        verdict = "whole" if report.is_whole else "not whole"
        output.narrate(f"{report.runs} runs, {report.checkpoints} checkpoints: {verdict}")
    return 0 if report.is_whole else 1


def rebuild(arguments: argparse.Namespace) -> int:
    """Make the database anew."""
    from core.store.rebuild import rebuild as make_anew

    workspace = workspace_of(arguments)
    report = make_anew(workspace)
    backup = None if report.backup is None else workspace.relative(report.backup)
    if arguments.json:
        counts = {"runs": report.runs, "lines": report.lines, "damaged_lines": report.damaged_lines}
        output.print_json({**counts, "refused_lines": report.refused_lines, "backup": backup})
        return 0
    fields = [("runs", str(report.runs)), ("lines", str(report.lines)), ("backup", backup or "")]
    for name, count in (("damaged lines", report.damaged_lines), ("refused lines", report.refused_lines)):
        fields.append((name, str(count) if count else ""))
    output.print_fields((name, value) for name, value in fields if value)
    return 0


def _finding_object(finding: Finding) -> dict[str, JsonInput]:
    return {
        "level": finding.level,
        "subject": finding.subject,
        "message": finding.message,
        "try_this": finding.try_this,
    }


def _fsck_object(finding: FsckFinding) -> dict[str, JsonInput]:
    return {
        "level": finding.level,
        "problem": finding.problem,
        "path": finding.path,
        "message": finding.message,
        "id": finding.run_id,
        "try_this": finding.try_this,
    }


COMMANDS = {
    "rebuild": Command(_configure_nothing, rebuild),
    "fsck": Command(_configure_fsck, fsck),
    "doctor": Command(_configure_nothing, doctor),
}
