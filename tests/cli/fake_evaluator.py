"""A worker without torch for command tests: trains as the fake worker does, and answers an evaluation with figures.

The figures follow from the job: the base scores 0.02, a checkpoint 0.9, so that a command's table can be told apart.
"""

from __future__ import annotations

import sys
from typing import cast

from core.events import BestChanged, Evaluated, Event, Started, StepLogged
from core.runs.identity import this_process
from tests.process import fake_worker


class FakeEvaluator(fake_worker.FakeWorker):
    """One attempt of an evaluation, or of a training run that also says which checkpoint is best."""

    def run(self) -> None:
        if self.job.queued.kind == "evaluate":
            self._evaluate()
        else:
            super().run()

    def _evaluate(self) -> None:
        me = this_process()
        self.say(Started(kind="evaluate", pid=me.pid, boot_id=me.boot_id, start_ticks=me.start_ticks))
        for target in cast("list[str]", self.job.arguments["targets"]):
            step = target.partition("@")[2]
            for set_name in cast("list[str]", self.job.arguments["sets"]):
                metrics = {"loss": 0.5, "exact_match": 0.02 if step == "base" else 0.9}
                self.say(
                    Evaluated(
                        step=0 if step == "base" else int(step), set_name=set_name, role="test", metrics=metrics,
                        rows=200, seconds=0.1, checkpoint=target,
                    )
                )  # fmt: skip
        self._finish("completed")

    def say(self, event: Event) -> None:
        if isinstance(event, StepLogged) and event.step == 3:
            event = StepLogged(step=3, values={"loss": float("nan"), "grad_norm": float("inf")})
        super().say(event)

    def _train_one_step(self) -> None:
        super()._train_one_step()
        if self.step == 3:
            metrics = {"loss": 0.25}
            self.say(Evaluated(step=3, set_name="task", role="validation", metrics=metrics, rows=8, seconds=0.1))
            self._save("requested")
            self.say(BestChanged(step=3, metric="task.loss", value=0.25))


if __name__ == "__main__":
    fake_worker.FakeWorker = FakeEvaluator  # type: ignore[misc]  # its main() makes one of what this name holds
    sys.exit(fake_worker.main())
