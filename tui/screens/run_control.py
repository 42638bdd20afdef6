"""The part of a run's page that acts: requests to the worker, each with its answer in one line, and why one can't be.

It hands wishes to `core.runs` in a thread and must not change anything itself.
"""

from __future__ import annotations

from core.states import WITH_PROCESS, Outcome, State, may_resume
from tui.messages import RunView
from tui.screens.page import Page

REQUESTS = ("stop", "pause", "save", "evaluate")


def why_not_ask(view: RunView | None, action: str) -> str | None:
    """Why a worker can't be asked for something now; None where it can."""
    if view is None:
        return "the run is not read yet"
    row = view.row
    if row.state is State.FINISHED:
        return f"the run has ended ({str(row.outcome).replace('_', ' ')})"
    if row.state not in WITH_PROCESS:
        return f"the run is {row.state}" + ("; cancel it in the queue (6)" if action == "stop" else "")
    if row.state in (State.STOPPING, State.PAUSING):
        return f"the run is {row.state} already"
    pending = [request.action for request in view.pending_requests]
    return f"it was asked to {action} and has not answered yet" if action in pending else None


def why_not_resume(view: RunView | None) -> str | None:
    """Why a run can't go on; None where it can."""
    if view is None:
        return "the run is not read yet"
    if may_resume(view.row.state, view.row.outcome):
        return None
    if view.row.outcome is Outcome.COMPLETED:
        return "the run is complete"
    return f"the run is {view.row.state}"


def stop_details(view: RunView) -> tuple[str, ...]:
    """What a stop costs, in steps since the last checkpoint."""
    step = view.row.step or 0
    last = max((row.step for row in view.checkpoints), default=None)
    since = f"{step - last} steps since checkpoint {last}" if last is not None else f"{step} steps, no checkpoint yet"
    return (f"{since}: a checkpoint is saved first; if that fails, they are lost.", "The run can be resumed later.")


class RunControl(Page):
    """Keys that change the run."""

    run_id: str
    run_view: RunView | None

    def chosen_checkpoint(self) -> int | None:
        """The step of the checkpoint under the cursor."""
        return None

    def why_not(self, action_id: str) -> str | None:
        if action_id in REQUESTS:
            return why_not_ask(self.run_view, action_id)
        if action_id == "resume":
            return why_not_resume(self.run_view)
        if action_id == "pin":
            has_checkpoints = self.run_view is not None and self.run_view.checkpoints
            return None if has_checkpoints else "there is no checkpoint yet"
        return super().why_not(action_id)

    def footer_ids(self) -> tuple[str, ...]:
        """The keys that matter for a run that lives, that can go on, and that is complete."""
        if self.run_view is None or self.run_view.row.state in WITH_PROCESS:
            return ("back", "stop", "save", "zoom", "next_pane", "diff")
        first = "resume" if why_not_resume(self.run_view) is None else "overlay"
        return ("back", first, "recipe", "zoom", "next_pane", "diff")

    def action_stop(self) -> None:
        """Stop the run, after one question."""
        view = self.run_view
        if view is not None:
            self.shell.confirm(f"Stop {self.run_id} at step {view.row.step or 0}?", stop_details(view), self._stop)

    def _stop(self) -> None:
        self._request("stop")

    def action_pause(self) -> None:
        """Pause the run: its device is free until it is resumed."""
        self._request("pause")

    def action_save(self) -> None:
        """Save a checkpoint now."""
        self._request("save")

    def action_evaluate(self) -> None:
        """Evaluate now."""
        self._request("evaluate")

    def _request(self, action: str) -> None:
        workspace, run_id = self.shell.workspace, self.run_id
        self.flash(f"asked to {action}{'' if action == 'evaluate' else ': the checkpoint is being written'}")

        def ask_worker() -> str:
            from core.runs.requests import ask

            answer = ask(workspace, run_id, action)
            saved = f" (checkpoint {answer.checkpoint_step})" if answer.checkpoint_step is not None else ""
            words = "" if answer.message in ("", action) else f": {answer.message}"
            return f"{action} {'done' if answer.ok else 'refused'}{saved}{words}"

        self.shell.act(ask_worker)

    def action_resume(self) -> None:
        """Go on from the newest valid checkpoint."""
        workspace, run_id = self.shell.workspace, self.run_id
        self.flash("queueing it in front")

        def go_on() -> str:
            from core.runs.queue import resume

            return f"queued as attempt {resume(workspace, run_id)}, in front of the queue"

        self.shell.act(go_on)

    def action_pin(self) -> None:
        """Keep the chosen checkpoint from retention, or leave it to it again."""
        step, view = self.chosen_checkpoint(), self.run_view
        if step is None or view is None:
            return
        workspace, run_id = self.shell.workspace, self.run_id
        is_pinned = any(row.step == step and row.pinned for row in view.checkpoints)

        def write() -> str:
            from core.runs.labels import pin, unpin

            (unpin if is_pinned else pin)(workspace, run_id, step)
            return f"checkpoint {step} {'is left to retention again' if is_pinned else 'is pinned: it stays'}"

        self.shell.act(write)
