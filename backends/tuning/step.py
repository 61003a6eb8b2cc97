"""What a search does next: a pure function of its state and of what happened.

Each trial has a number. Values are chosen outside of any transaction (`Promise`, answered by `engine.py`), then its training
job is made; the state knows it from the same transaction on, so that after a crash none is made twice and none is forgotten.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from backends.core.commands import Call, Change, Command, End, Move, Promise, WakeAt
from backends.tuning import progress
from backends.tuning.ranges import text_of
from backends.tuning.summaries import OBJECTIVE_PARAMETER, objective_of, turn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.commands import Happened, State

SUGGEST, WATCH, STOP = "suggest", "watch", "stop"
QUEUE, WATCH_QUEUE = "tuning.suggest", "tuning.watch"
LOOK_EVERY_S = 1.0
"""How often the objectives of running training jobs are looked at, where some may be stopped early."""
AHEAD = 50
"""How many trials are chosen at once where results do not matter for it."""


def begin(plan: Mapping[str, Any]) -> State:
    """Return the state of a search before its first step."""
    counters = dict.fromkeys(progress.COUNTERS, 0)
    return {
        **plan, "numbered": 0, "choosing": False, "ready": [], "running": {}, "done": [], "counters": counters, "objectives": 0,
        "best": None, "stale": 0, "ending": "", "reason": "", "ended": [],
    }  # fmt: skip


def step(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Keep as many training jobs running as may run at once, until there are enough of them or a criterion is met."""
    state = dict(state)
    if (why := _why_it_ends(state, happened)) is not None:
        state["running"] = {
            k: v for k, v in state["running"].items() if (happened.what, k) != ("refused", happened.tag)
        }
        return _end_with(state, happened.at, *why)
    match happened.what, happened.tag:
        case "begun", _:
            state, commands = _go_on(state, happened.at)
            return state, [*commands, _wake(state, happened.at)]
        case "answered", tag if tag == SUGGEST:
            state |= {"choosing": False, "ready": [*state["ready"], *happened.answer["trials"]]}
            return _go_on(state, happened.at)
        case ("answered", "watch") | ("time", _) if state["early"] is not None:
            return _look(state, happened)
        case "child", number if number in state["running"]:
            return _child_changed(state, happened)
    return state, []


def _wake(state: State, at: float) -> Command:
    """Wake the search at its end, or before, where running training jobs are looked at."""
    times = [state["deadline"]] if state["deadline"] is not None else []
    times += [at + LOOK_EVERY_S] if state["early"] is not None else []
    return WakeAt(min(times, default=None))


def _look(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Ask about the running training jobs when it is time, and stop those that are not worth their end when it is known."""
    if happened.what == "time":
        return (state, []) if state["ending"] else (state, [_watch(state), WakeAt(state["deadline"])])
    state, commands = _stop_early(state, happened.answer["judged"])
    return state, [*commands, _wake(state, happened.at)]


def _watch(state: State) -> Command:
    """Ask which of the running training jobs are not worth their end, of each definition among its own."""
    looked_at = [(number, trial) for number, trial in state["running"].items() if not trial.get("stopped")]
    questions = [
        {
            **state["early"],
            **definition.get("rungs", {}),
            "type": definition["type"],
            "metric": definition["metric"],
            "ended": [each for each in state["ended"] if turn(state["definitions"], each[0])[0] == index],
            "running": [
                (int(number), trial["name"], trial.get("rungs", 0))
                for number, trial in looked_at
                if trial["definition"] == index
            ],
        }
        for index, definition in enumerate(state["definitions"])
    ]
    return Promise(WATCH_QUEUE, {"questions": [each for each in questions if each["running"]]}, WATCH)


def _stop_early(state: State, judged: list[Mapping[str, Any]]) -> tuple[State, list[Command]]:
    """Stop the training jobs that are not worth their end; what they have come to counts."""
    commands: list[Command] = []
    running = dict(state["running"])
    for verdict in judged:
        number = str(verdict["number"])
        if number not in running or running[number].get("stopped") or state["ending"]:
            continue
        running[number] = {**running[number], "rungs": verdict["rungs"], "stopped": verdict["stop"]}
        if verdict["stop"]:
            commands.append(Call("StopTrainingJob", {"TrainingJobName": running[number]["name"]}, STOP))
    return {**state, "running": running}, commands


def _why_it_ends(state: State, happened: Happened) -> tuple[str, str] | None:
    """Return the status and the reason for which no more trials begin from now on, None for most of what happens."""
    match happened.what:
        case "changed" if happened.status == "Stopping":
            return "Stopped", ""
        case "refused" if happened.tag in state["running"]:  # its training job cannot be made
            return "Failed", happened.reason
        case "time" if state["deadline"] is not None and happened.at >= state["deadline"]:
            return "Completed", ""  # Unverified: whether a search that ran out of time is Completed or Stopped
    return None


def _go_on(state: State, at: float) -> tuple[State, list[Command]]:
    """Make the training jobs that may run, ask for the values of the next, or end."""
    if state["ending"]:
        return (state, []) if state["running"] else _end(state, at)
    commands: list[Command] = []
    while state["ready"] and len(state["running"]) < state["parallel"]:
        trial, *rest = state["ready"]
        state["ready"] = rest
        state, call = _launch(state, trial)
        commands.append(call)
    left = state["limit"] - state["numbered"]
    if not state["running"] and not state["ready"] and not state["choosing"] and left <= 0:
        return _end(state, at)
    free = state["parallel"] - len(state["running"]) - len(state["ready"])
    wanted = min(left, free if state["strategy"] == "Bayesian" else AHEAD)
    if not state["choosing"] and free > 0 and wanted > 0:
        state, promise = _choose(state, wanted)
        commands.append(promise)
    return state, [*commands, Change(progress.shown(state, at))]


def _choose(state: State, count: int) -> tuple[State, Command]:
    """Ask for the values of the next trials, of each definition with what is known of its own."""
    turns = [
        (number, *turn(state["definitions"], number))
        for number in range(state["numbered"] + 1, state["numbered"] + count + 1)
    ]
    running = [*state["running"].values(), *state["ready"]]
    questions = [
        {
            "definition": index,
            "strategy": state["strategy"],
            "seed": f"{state['seed']} {index}",
            "ranges": definition["ranges"],
            "type": definition["type"],
            "trials": [number for number, of, _ in turns if of == index],
            "numbers": [ordinal for _, of, ordinal in turns if of == index],
            "done": [
                *state.get("earlier", ()),
                *([values, value] for of, values, value in state["done"] if of == index),
            ],
            "running": [trial["values"] for trial in running if trial["definition"] == index],
        }
        for index, definition in enumerate(state["definitions"])
    ]
    state |= {"numbered": state["numbered"] + count, "choosing": True}
    return state, Promise(QUEUE, {"questions": [question for question in questions if question["numbers"]]}, SUGGEST)


def _launch(state: State, trial: Mapping[str, Any]) -> tuple[State, Command]:
    """Make the training job of a trial."""
    definition = state["definitions"][trial["definition"]]
    number, attempt = trial["number"], trial.get("attempt", 0)
    digest = hashlib.sha256(f"{state['nonce']} {number} {attempt}".encode()).hexdigest()
    name = f"{state['name']}-{number:03d}-{digest[:8]}"
    state["running"] = {**state["running"], str(number): {**trial, "name": name}}
    return state, Call(
        "CreateTrainingJob",
        training_request(definition, name, trial["values"], state["tags"], attempt),
        str(number),
        members={"TuningJobArn": state["arn"]},
    )


def training_request(
    definition: Mapping[str, Any], name: str, values: Mapping[str, Any], tags: list[Any], attempt: int = 0
) -> dict[str, Any]:
    """Return the request of a training job: its definition's, with the values that were chosen."""
    tuned = {each["name"]: text_of(each, values[each["name"]]) for each in definition["ranges"]}
    parameters = {**definition["static"], **tuned, OBJECTIVE_PARAMETER: definition["metric"]}
    request = {**definition["request"], "TrainingJobName": name, "HyperParameters": parameters}
    if tags:
        request["Tags"] = tags
    request["ResourceConfig"] = definition["resources"][min(attempt, len(definition["resources"]) - 1)]
    if "CheckpointConfig" in request:  # Unverified: AWS's path; one that all share would give each the others' models
        uri = f"{request['CheckpointConfig']['S3Uri'].rstrip('/')}/{name}"
        request["CheckpointConfig"] = {**request["CheckpointConfig"], "S3Uri": uri}
    return request


def _child_changed(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Count a training job that has ended, and go on."""
    if happened.status not in {"Completed", "Failed", "Stopped", "Deleted"}:
        return state, []
    trial = state["running"][happened.tag]
    state["running"] = {number: other for number, other in state["running"].items() if number != happened.tag}
    definition = state["definitions"][trial["definition"]]
    attempt = trial.get("attempt", 0) + 1
    lacks_capacity = happened.status == "Failed" and happened.reason.startswith("CapacityError")
    if lacks_capacity and attempt < len(definition["resources"]) and not state["ending"]:
        state["ready"] = [{**trial, "attempt": attempt}, *state["ready"]]
        state["counters"] = _more(state["counters"], "RetryableError")
        return _go_on(state, happened.at)
    counted = {"Failed": "NonRetryableError", "Deleted": "Stopped"}.get(happened.status, happened.status)
    state["counters"] = _more(state["counters"], counted)
    value = objective_of(happened.document, definition["metric"])
    if state["strategy"] == "Bayesian":
        state["done"] = [*state["done"], [trial["definition"], trial["values"], value]]
    if value is not None and state["early"] is not None:
        state["ended"] = [*state["ended"], [trial["number"], trial["name"]]]
    if value is not None:
        state = progress.measured(state, value, happened.document, happened.at)
    if not state["ending"]:
        status, reason = progress.verdict(state, value)
        if status:
            return _end_with(state, happened.at, status, reason)
    return _go_on(state, happened.at)


def _more(counters: Mapping[str, int], name: str) -> dict[str, int]:
    return {**counters, name: counters[name] + 1}


def _end_with(state: State, at: float, status: str, reason: str = "") -> tuple[State, list[Command]]:
    """Begin no more trials, stop those that run, and end once they have; what was asked for first counts, but for a Stop."""
    if not state["ending"] or status == "Stopped":
        state |= {"ending": status, "reason": reason}
    if not state["running"]:
        return _end(state, at)
    names = [trial["name"] for trial in state["running"].values()]
    stops = [Call("StopTrainingJob", {"TrainingJobName": name}, STOP) for name in names]
    return state, [*stops, Change(progress.shown(state, at))]


def _end(state: State, at: float) -> tuple[State, list[Command]]:
    status, reason = state["ending"], state["reason"]
    if not status:
        status, reason = ("Completed", "") if state["objectives"] else ("Failed", progress.failure(state))
    return state, [Move(status, reason, {**progress.shown(state, at), "HyperParameterTuningEndTime": at}), End()]
