"""What a search does next: a pure function of its state and of what happened.

Each trial has a number. Values are chosen outside of any transaction (`Promise`, answered by `engine.py`), then its training
job is made; the state knows it from the same transaction on, so that after a crash none is made twice and none is forgotten.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from backends.core.commands import Call, Change, Command, End, Move, Promise, WakeAt
from backends.tuning.ranges import text_of
from backends.tuning.summaries import OBJECTIVE_PARAMETER, objective_of, summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.commands import Happened, State

SUGGEST, WATCH, STOP = "suggest", "watch", "stop"
QUEUE, WATCH_QUEUE = "tuning.suggest", "tuning.watch"
LOOK_EVERY_S = 1.0
"""How often the objectives of running training jobs are looked at, where some may be stopped early."""
AHEAD = 50
"""How many trials are chosen at once where results do not matter for it."""
MOST_FUTILE = 5
"""After so many trials without any success the search fails (seen in AWS's own reason, `No training job succeeded after 5 attempts`)."""
NONE_SUCCEEDED = (
    "No training job succeeded after {count} attempts. For additional details, please take a look at the training job failures by "
    "listing training jobs for the hyperparameter tuning job."
)
ALL_FAILED = "All training jobs failed. Please take a look at the training jobs failures to get more details."
NO_OBJECTIVE = (
    "No objective metrics found after running {count} training jobs. Please ensure that the custom algorithm is emitting the "
    "objective metric as defined by the regular expression provided."
)
COUNTERS = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")


def begin(plan: Mapping[str, Any]) -> State:
    """Return the state of a search before its first step."""
    counters = dict.fromkeys(COUNTERS, 0)
    return {
        **plan, "numbered": 0, "choosing": False, "ready": [], "running": {}, "done": [], "counters": counters, "objectives": 0,
        "best": None, "stale": 0, "ending": "", "reason": "", "ended": [],
    }  # fmt: skip


def shown(state: State, at: float) -> dict[str, Any]:
    """Return the members of Describe that follow from the state."""
    running = len(state["running"])
    ended = sum(state["counters"].values()) - state["counters"]["RetryableError"]
    members = {
        "TrainingJobStatusCounters": {**state["counters"], "InProgress": running},
        "ObjectiveStatusCounters": {
            "Succeeded": state["objectives"], "Pending": running, "Failed": ended - state["objectives"]
        },
        "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": state["stale"]},
        "ConsumedResources": {"RuntimeInSeconds": max(0, int(at - state["created"]))},
    }  # fmt: skip
    if state["best"] is not None:
        members["BestTrainingJob"] = state["best"]["summary"]
    overall = overall_best(state)
    return members if overall is None else {**members, "OverallBestTrainingJob": overall}


def overall_best(state: State) -> dict[str, Any] | None:
    """Return the best training job of this search and of those that it began from with identical data, None for other searches."""
    if "overall" not in state:
        return None
    earlier, own = state["overall"], state["best"]
    if own is None or (earlier and not _is_better(state, 0, own["value"], earlier["value"])):
        return dict(earlier["summary"]) if earlier else None
    return {**own["summary"], "TuningJobName": state["name"]}


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
    """Ask which of the running training jobs are not worth their end."""
    (definition,) = state["definitions"]
    running = [
        (int(number), trial["name"], trial.get("rungs", 0))
        for number, trial in state["running"].items()
        if not trial.get("stopped")
    ]
    question = {**state["early"], "type": definition["type"], "ended": state["ended"], "running": running}
    return Promise(WATCH_QUEUE, {"metric": definition["metric"], "question": question}, WATCH)


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
    return state, [*commands, Change(shown(state, at))]


def _choose(state: State, count: int) -> tuple[State, Command]:
    """Ask for the values of the next trials, of each definition with what is known of its own."""
    numbers = range(state["numbered"] + 1, state["numbered"] + count + 1)
    several = len(state["definitions"])
    running = [*state["running"].values(), *state["ready"]]
    questions = [
        {
            "definition": index,
            "strategy": state["strategy"],
            "seed": f"{state['seed']} {index}",
            "ranges": definition["ranges"],
            "type": definition["type"],
            "numbers": [(number - 1) // several for number in numbers if (number - 1) % several == index],
            "done": [
                *state.get("earlier", ()),
                *([values, value] for of, values, value in state["done"] if of == index),
            ],
            "running": [trial["values"] for trial in running if trial["definition"] == index],
        }
        for index, definition in enumerate(state["definitions"])
    ]
    state |= {"numbered": state["numbered"] + count, "choosing": True}
    body = {"questions": [question for question in questions if question["numbers"]], "several": several}
    return state, Promise(QUEUE, body, SUGGEST)


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
        state = _measured(state, trial["definition"], value, happened.document)
    if not state["ending"]:
        status, reason = _verdict(state, trial["definition"], value)
        if status:
            return _end_with(state, happened.at, status, reason)
    return _go_on(state, happened.at)


def _more(counters: Mapping[str, int], name: str) -> dict[str, int]:
    return {**counters, name: counters[name] + 1}


def _measured(state: State, definition: int, value: float, document: Mapping[str, Any]) -> State:
    """Count an objective, and keep the best."""
    state["objectives"] += 1
    if state["best"] is not None and not _is_better(state, definition, value, state["best"]["value"]):
        return {**state, "stale": state["stale"] + 1}
    return {**state, "stale": 0, "best": {"value": value, "summary": summary_of(state["definitions"], document)}}


def _is_better(state: State, definition: int, value: float, than: float) -> bool:
    """Return whether an objective is better than another; of several definitions all have objectives of one type."""
    return value > than if state["definitions"][definition]["type"] == "Maximize" else value < than


def _verdict(state: State, definition: int, value: float | None) -> tuple[str, str]:
    """Return the status and the reason with which the search ends now, empty while it goes on."""
    target, patience = state["target"], state["patience"]
    if value is not None and target is not None and not _is_better(state, definition, target, value):
        return "Completed", ""
    if patience is not None and state["stale"] >= patience:
        return "Completed", ""
    if not state["objectives"] and _ended(state) >= MOST_FUTILE:
        return "Failed", _failure(state)
    return "", ""


def _ended(state: State) -> int:
    return sum(state["counters"][name] for name in ("Completed", "NonRetryableError", "Stopped"))


def _failure(state: State) -> str:
    """Return why a search without any objective failed. Unverified: which of AWS's reasons comes when."""
    count = _ended(state)
    if state["counters"]["Completed"]:
        return NO_OBJECTIVE.format(count=count)
    return NONE_SUCCEEDED.format(count=count) if count >= MOST_FUTILE else ALL_FAILED


def _end_with(state: State, at: float, status: str, reason: str = "") -> tuple[State, list[Command]]:
    """Begin no more trials, stop those that run, and end once they have; what was asked for first counts, but for a Stop."""
    if not state["ending"] or status == "Stopped":
        state |= {"ending": status, "reason": reason}
    if not state["running"]:
        return _end(state, at)
    names = [trial["name"] for trial in state["running"].values()]
    stops = [Call("StopTrainingJob", {"TrainingJobName": name}, STOP) for name in names]
    return state, [*stops, Change(shown(state, at))]


def _end(state: State, at: float) -> tuple[State, list[Command]]:
    status, reason = state["ending"], state["reason"]
    if not status:
        status, reason = ("Completed", "") if state["objectives"] else ("Failed", _failure(state))
    return state, [Move(status, reason, {**shown(state, at), "HyperParameterTuningEndTime": at}), End()]
