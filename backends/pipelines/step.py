"""What an execution does next: a pure function of its state and of what happened.

The state is all there is of an execution's steps: `ListPipelineExecutionSteps` shows it, later executions find in it what
they may reuse, and it stays after the end. Calls are made in the transaction in which the state learns of them, under names that follow from
it, so that no step begins twice and none is forgotten, whatever is killed when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core.commands import Call, Command, Emit, Move, Promise, WakeAt
from backends.pipelines import caching, lineage, paths, requests, retries, shown
from backends.pipelines.conditions import IncomparableError, all_hold
from backends.pipelines.expressions import Scope, evaluate
from backends.pipelines.step_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.commands import Happened, State

READ, CACHED, NOTIFY, INVOKE, CONTINUE = (
    "pipelines.read", "pipelines.cached", "pipelines.notify", "pipelines.invoke", "pipelines.continue"
)  # fmt: skip
"""Queues of the work that is done outside of transactions (`engine.py`)."""
MOST_AT_ONCE = 50
"""Unverified: how many steps run at once where nothing says it."""
ACTIVE = frozenset({"Starting", "Executing", "Stopping"})
STEP = "PipelineExecutionStep"
"""The kind of the events about steps."""
FAILED = "Step failure: One or multiple steps failed."
NEW_RUN: Mapping[str, Any] = {"status": "", "attempt": 0, "failures": {}}


def step(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Keep as many steps running as may run at once, until all are done, one has failed, or somebody stops it. Takes the state over."""
    execution = Execution(state, happened.at)
    execution.hear(happened)
    return state, execution.commands


class Execution:
    """One execution at one moment: it changes `state`, and collects what is to be done about it in `commands`."""

    def __init__(self, state: State, at: float) -> None:
        self.state, self.at = state, at
        self.commands: list[Command] = []
        self.steps: dict[str, dict[str, Any]] = state["steps"]
        self.runs: dict[str, dict[str, Any]] = state["runs"]

    # -- what happens

    def hear(self, happened: Happened) -> None:
        """Do what follows from something that happened."""
        what, (about, name, attempt) = happened.what, [*happened.tag.split(" "), "", ""][:3]
        if what == "changed" and happened.status == "Stopping":
            self._stop()
        elif what == "time":
            self._try_again()
        elif about == "continue":
            self.state["continuing"] = False
        elif about == "retry":
            self._retry(happened.answer)
        elif about == "parallel":
            self.state["parallel"] = happened.answer["most"]
        elif name:
            if not self._is_current(name, attempt):
                return
            if what in {"answered", "refused"} and about in {"make", "more"}:
                self._hear_call(about, name, happened)
                self._continue()  # what is ready next begins in a transaction of its own
                return
            self._hear_step(about, name, happened)
        elif what != "begun":
            return
        self._go_on()

    def _is_current(self, name: str, attempt: str) -> bool:
        run = self.runs.get(name)
        return run is not None and run["status"] in ACTIVE and str(run["attempt"]) == attempt

    def _hear_call(self, about: str, name: str, happened: Happened) -> None:
        """Go on with a step one of whose calls was answered."""
        if happened.what == "refused":
            self._refused(name, happened.code, happened.reason)
        elif self.steps[name]["type"] == "Lineage":
            lineage.note(self.runs[name], happened.answer)
            self._call_next(name)
        elif about == "more":
            self._succeed(name, {**self.runs[name].pop("document"), **happened.answer})
        else:
            self._made(name, happened)

    def _hear_step(self, about: str, name: str, happened: Happened) -> None:
        """Go on with a step for which work was done, or whose resource has changed."""
        run, answer = self.runs[name], happened.answer
        if happened.what == "child":
            if happened.arn == run.get("arn"):
                self._changed(name, happened)
        elif about != run["phase"]:
            return
        elif "error" in answer:
            self._failed(name, answer["error"])
        elif about == "read":
            self.state["read"] |= {f"{uri} {path}": value for uri, path, value in answer["read"]}
            self._launch(name)
        elif about == "cached":
            self._hear_cached(name, answer.get("hit"))
        elif about == "invoke" or (about == "notify" and "outputs" in answer):
            run["metadata"] = {**run["metadata"], "OutputParameters": answer["outputs"]}
            self._succeed(name, {"OutputParameters": {each["Name"]: each["Value"] for each in answer["outputs"]}})

    # -- what is next

    def _continue(self) -> None:
        if not self.state["continuing"]:
            self.state["continuing"] = True
            self.commands.append(Promise(CONTINUE, {}, "continue"))

    def _active(self) -> int:
        return sum(run["status"] in ACTIVE for run in self.runs.values())

    def _go_on(self) -> None:
        """Begin what may begin, or end."""
        active, most = self._active(), self.state["parallel"] or MOST_AT_ONCE
        for name, each in (
            () if self.state["ending"] else self.steps.items()
        ):  # in an order in which nothing waits for what follows
            if name in self.runs or not self._is_ready(name, each):
                continue
            if active >= most or self.state["ending"]:
                return
            self._begin(name)
            active += self.runs[name]["status"] in ACTIVE
        if not active and not self.state["continuing"]:
            self._end()

    def _is_ready(self, name: str, each: Mapping[str, Any]) -> bool:
        """Return whether a step can begin; one that never will is noted as unchosen."""
        needed = [self.runs.get(other) for other in each["needs"]]
        chosen = True
        if each["branch"] is not None:
            condition, outcome = each["branch"]
            above = self.runs.get(condition)
            if above is None or (above["status"] and above["status"] != "Succeeded"):
                return False
            chosen = above.get("outcome") is outcome
        if not chosen or any(run is not None and not run["status"] for run in needed):
            self.runs[name] = dict(NEW_RUN)
            return False
        inside = [self.runs.get(other) for other in each["inside"]]
        return all(run is not None and run["status"] == "Succeeded" for run in needed) and all(
            run is not None and run["status"] in {"", "Succeeded"} for run in inside
        )

    def _end(self) -> None:
        status = self.state["ending"] or "Succeeded"
        reason = FAILED if status == "Failed" else ""
        self.commands += [Move(status, reason), WakeAt(None)]

    # -- one step

    def _begin(self, name: str) -> None:
        attempt = self.state["attempts"].get(name, 0)
        self.runs[name] = {**NEW_RUN, "failures": {}, "attempt": attempt, "start": self.at, "metadata": {}, "phase": ""}
        self._set(name, "Starting")
        self._launch(name)

    def _set(self, name: str, status: str, reason: str = "") -> None:
        """Write a step's status, and the event of it."""
        run, each = self.runs[name], self.steps[name]
        old, run["status"] = run["status"], status
        if status not in ACTIVE:
            run["end"] = self.at
        if reason:
            run["reason"] = reason[:1024]
        detail = {
            "step": name, "type": each["type"], "start": run.get("start"), "end": run.get("end"), "metadata": shown.metadata_of(self.steps, name, run),
            "cache_hit": run.get("hit", ""),
        }  # fmt: skip
        if old != status:  # not where an attempt follows another
            self.commands.append(Emit(STEP, old, status, reason, detail))

    def _scope(self, name: str) -> Scope:
        execution, each = self.state["execution"], self.steps[name]
        own = requests.name_of(self.state, name, self.runs[name]["attempt"])
        named = {TYPES[each["type"]].name: own} if own else {}
        return Scope(
            self.state["parameters"],
            {**execution, "CurrentDateTime": shown.instant(self.at), **named},
            self.state["experiment"],
            {other: run["values"] for other, run in self.runs.items() if "values" in run},
            {other: run["files"] for other, run in self.runs.items() if "files" in run},
            self.state["read"],
        )

    def _launch(self, name: str) -> None:
        """Begin a step, or an attempt of it, as far as what it is about is known."""
        each, scope = self.steps[name], self._scope(name)
        try:
            if each["type"] == "Condition":
                arguments, own = {"Outcome": all_hold(each["arguments"], scope)}, {}
            else:
                arguments, own = evaluate(each["arguments"], scope), evaluate(each["own"], scope)
        except paths.MissingError as error:  # Unverified: AWS's wording
            self._failed(name, f"ClientError: {error} is undefined.")
            return
        except IncomparableError as error:  # Unverified: AWS's wording
            self._failed(name, f"ClientError: {error}.")
            return
        if scope.unread:
            self._promise(name, "read", READ, {"reads": scope.unread})
        elif each["type"] == "Condition":
            outcome = arguments["Outcome"]
            self.runs[name] |= {"outcome": outcome, "metadata": {"Outcome": "True" if outcome else "False"}}
            self._succeed(name, arguments)
        elif each["type"] == "Fail":
            self.runs[name]["metadata"] = {"ErrorMessage": str(arguments["ErrorMessage"])[:3072]}
            self.state["by_fail"] = True
            self._failed(name, str(arguments["ErrorMessage"]))
        elif caching.is_cached(each) and "key" not in self.runs[name]:
            self._look(name, arguments, own)
        else:
            self._make(name, arguments, own)

    def _promise(self, name: str, phase: str, queue: str, body: dict[str, Any]) -> None:
        run = self.runs[name]
        run["phase"] = phase
        self.commands.append(Promise(queue, {**body, "role": self.state["role"]}, f"{phase} {name} {run['attempt']}"))

    def _look(self, name: str, arguments: Any, own: Any) -> None:
        """Ask for an earlier run that may stand for this one."""
        each, run = self.steps[name], self.runs[name]
        run["key"] = caching.key_of(name, each, arguments, own)
        wanted = {"key": run["key"], "step": name, "type": each["type"], "since": self.at - each["cache_s"]}
        self._promise(name, "cached", CACHED, {**wanted, "read_paths": each["read_paths"], "files": each["files"]})

    def _hear_cached(self, name: str, hit: Mapping[str, Any] | None) -> None:
        if hit is None:
            self._launch(name)
            return
        self.runs[name] |= {
            "hit": hit["execution"],
            "metadata": hit["metadata"],
            "values": hit["values"],
            "files": hit["files"],
        }
        self._set(name, "Succeeded")

    def _make(self, name: str, arguments: Any, own: Any) -> None:
        """Begin what the step is about."""
        run, kind = self.runs[name], self.steps[name]["type"]
        self._set(name, "Executing")
        if kind == "Callback":
            run["metadata"] = {
                "CallbackToken": requests.code(self.state["nonce"], name, run["attempt"], "token"),
                **own,
            }
            run["metadata"].pop("OutputParameters", None)
            self._promise(name, "notify", NOTIFY, self._notice(name, arguments, "Executing"))
            run["arguments"] = arguments
        elif kind == "Lambda":
            run["metadata"] = {"Arn": own["FunctionArn"]}
            self._promise(name, "invoke", INVOKE, {"function": own["FunctionArn"], "payload": arguments})
        elif kind == "Lineage":
            run["pending"] = lineage.calls(arguments)
            self._call_next(name)
        elif kind in TYPES:
            self._call_create(name, arguments)
        else:  # Unverified: AWS's wording where a service that a step needs cannot be used
            self._failed(
                name,
                f"ClientError: Failed to run the step. Error Details: LocalMaker does not run steps of type {kind}.",
            )

    def _call_create(self, name: str, arguments: Mapping[str, Any]) -> None:
        run, kind = self.runs[name], TYPES[self.steps[name]["type"]]
        run["phase"] = "make"
        request = requests.request_of(self.state, name, run["attempt"], arguments)
        run["name"] = request.get(kind.name, "")
        group = request.get("ModelPackageGroupName") if kind.create == "CreateModelPackage" else None
        if group is not None and not str(group).startswith("arn:"):
            # A step that registers makes the group; that it is there already is no failure, so nobody hears of it.
            self.commands.append(Call("CreateModelPackageGroup", {"ModelPackageGroupName": group}))
        self.commands.append(Call(kind.create, request, self._tag("make", name)))

    def _tag(self, about: str, name: str) -> str:
        return f"{about} {name} {self.runs[name]['attempt']}"

    def _call_next(self, name: str) -> None:
        """Make the next call of a step that makes several."""
        run = self.runs[name]
        run["phase"] = "make"
        called = lineage.next_call(run)
        if called is None:
            self._succeed(name, run["metadata"])
        else:
            self.commands.append(Call(*called, self._tag("make", name)))

    def _made(self, name: str, happened: Happened) -> None:
        """Note what was made; it is all there is of a step whose resource has no status."""
        run, kind = self.runs[name], TYPES[self.steps[name]["type"]]
        run |= {"arn": happened.arn, "metadata": {"Arn": happened.arn}}
        if not kind.ends:
            self._succeed(name, dict(happened.document))
        elif self.state["ending"] == "Stopped":
            self._stop_step(name)

    def _changed(self, name: str, happened: Happened) -> None:
        """Go on with a step whose resource has changed its status."""
        kind = TYPES[self.steps[name]["type"]]
        outcome = kind.outcome(happened.status)
        if outcome is None:
            return
        if outcome:
            self._succeed(name, dict(happened.document))
        elif happened.status == "Stopped" and self.state["ending"] == "Stopped":
            self._set(name, "Stopped")
        else:
            reason = happened.reason or str(happened.document.get("FailureReason", ""))
            told = reason or f"The resource is {happened.status}."
            self._failed(name, f"ClientError: {told}", retries.of_failure(self.steps[name]["type"], reason))

    def _succeed(self, name: str, document: dict[str, Any]) -> None:
        """End a step well; of what its resource shows only that is kept for which others ask."""
        each, run = self.steps[name], self.runs[name]
        wants_summaries = each["type"] == "Tuning" and any(
            path.startswith("TrainingJobSummaries") for path in each["read_paths"]
        )
        if wants_summaries and "TrainingJobSummaries" not in document:
            run["document"] = document
            self.commands.append(
                Call(
                    "ListTrainingJobsForHyperParameterTuningJob",
                    shown.summaries_of(run["name"], document),
                    self._tag("more", name),
                )
            )
            return
        run["values"], run["files"] = shown.shown_at(document, each["read_paths"], each["files"])
        self._set(name, "Succeeded")

    def _refused(self, name: str, code: str, reason: str) -> None:
        kind = TYPES.get(self.steps[name]["type"])
        called = kind.create if kind is not None else (lineage.next_call(self.runs[name]) or ("",))[0]
        text = f"ClientError: Failed to invoke sagemaker:{called}. Error Details: {reason}"
        self._failed(name, text, retries.of_refusal(code))

    def _failed(self, name: str, reason: str, exception: str = "") -> None:
        """End a step badly, and with it the execution; or try it again, where a policy says so."""
        run = self.runs[name]
        run["failures"] = {**run["failures"], exception: run["failures"].get(exception, 0) + 1}
        again = None
        if not self.state["ending"]:
            again = retries.next_at(self.steps[name], exception, run["failures"], run["start"], self.at)
        if again is None:
            self._set(name, "Failed", reason)
            self.state["ending"] = self.state["ending"] or "Failed"
            return
        run |= {"phase": "again", "again": again, "attempt": run["attempt"] + 1}
        run.pop("key", None)
        self._wake()

    # -- attempts, stops and retries

    def _wake(self) -> None:
        waiting = [
            run["again"] for run in self.runs.values() if run.get("phase") == "again" and run["status"] in ACTIVE
        ]
        self.commands.append(WakeAt(min(waiting, default=None)))

    def _try_again(self) -> None:
        for name, run in self.runs.items():
            if run.get("phase") == "again" and run["status"] in ACTIVE and run["again"] <= self.at:
                self._launch(name)
        self._wake()

    def _stop(self) -> None:
        """Stop what runs and can be stopped; the others come to their end."""
        self.state["ending"] = "Stopped"
        for name, run in self.runs.items():
            if run["status"] in ACTIVE:
                self._stop_step(name)

    def _stop_step(self, name: str) -> None:
        run, each = self.runs[name], self.steps[name]
        if run["phase"] in {"again", "read", "cached"}:
            self._set(name, "Stopped")
        elif run["phase"] == "notify" and run["status"] != "Stopping":
            self._set(name, "Stopping")
            body = {**self._notice(name, run["arguments"], "Stopping"), "role": self.state["role"]}
            self.commands.append(Promise(NOTIFY, body, "told"))
        elif run["phase"] == "make" and run.get("arn") and each["type"] in TYPES and TYPES[each["type"]].stop:
            kind = TYPES[each["type"]]
            self._set(name, "Stopping")
            self.commands.append(Call(kind.stop, {kind.name: run["name"]}, "told"))

    def _notice(self, name: str, arguments: Any, status: str) -> dict[str, Any]:
        run = self.runs[name]
        message = {
            "token": run["metadata"]["CallbackToken"],
            "pipelineExecutionArn": self.state["execution"]["PipelineExecutionArn"],
            "arguments": arguments,
            "status": status,
        }
        return {"queue_url": run["metadata"]["SqsQueueUrl"], "message": message}

    def _retry(self, wanted: Mapping[str, Any]) -> None:
        """Begin again what has failed or was stopped; what has succeeded stays."""
        if "most" in wanted:
            self.state["parallel"] = wanted["most"]
        self.state["ending"] = ""
        for name, run in list(self.runs.items()):
            if run["status"] != "Succeeded":
                if run["status"]:
                    self.state["attempts"][name] = run["attempt"] + 1
                del self.runs[name]
        self.commands.append(Move("Executing", "", {"FailureReason": None}))


def begin(plan: Mapping[str, Any]) -> State:
    """Return the state of an execution before its first step."""
    fresh: dict[str, Any] = {
        "read": {},
        "attempts": {},
        "ending": "",
        "by_fail": False,
        "continuing": False,
    }
    return {**fresh, "runs": {}, **plan}
