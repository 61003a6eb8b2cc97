"""A component as the next ones are written: what to copy. Nouns of the model, so that boto3's names and shapes are true.

AWS calls it: ModelPackageGroup and ModelPackage, a parent and its numbered versions; CompilationJob, a job; NotebookInstance,
a service; and InferenceRecommendationsJob, which makes compilation jobs one after the other and waits for each. Tables: none.
Events sent: each at its statuses. Heard: what is created (queued), and by the parent its own and its children's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors, parents
from backends.core.commands import Call, End, Move
from backends.core.declared.pages import Page
from backends.core.operation import operation
from backends.core.resource import resource
from backends.core.states import machine
from backends.jobs.admission import ResourceRequest
from backends.jobs.drivers import drives, end
from backends.jobs.places import Wanted
from backends.jobs.service import HealthCheck
from backends.jobs.service_job import ServiceJob, drives_service
from backends.jobs.states import SERVICE_STATES
from tests.toy.settings import SETTINGS

if TYPE_CHECKING:
    from backends.core.commands import Command, Happened, State
    from backends.core.context import Context
    from backends.jobs.run import Run

PAGE = Page("/toys", "Toys", "tests.toy.page:build")

# -- records: a parent, and versions below it; all of their operations are derived

GROUP = resource(
    "ModelPackageGroup",
    arn_path="model-package-group",
    status_member="ModelPackageGroupStatus",
    filters={"CrossAccountFilterOption": "CreatedBy"},
    derives=("Create", "Describe", "List", "Delete"),
)
PACKAGE = resource(
    "ModelPackage",
    arn_path="model-package",
    key=("ModelPackageGroupName", "ModelPackageVersion"),
    numbered=True,
    parent=GROUP,
    in_use="Model Package Group {arn} cannot be deleted: it has the version {child}.",
    filters={"ModelPackageType": "ModelPackageGroupName", "NameContains": "ModelPackageGroupName"},
    sorts={"Name": "ModelPackageGroupName"},
    derives=("Create", "Describe", "Update", "List", "Delete"),
)

# -- a job: accepted by a derived Create, driven in a thread once the queue admits it

JOB = resource(
    "CompilationJob",
    arn_path="compilation-job",
    status_member="CompilationJobStatus",
    machine=machine(
        INPROGRESS={"COMPLETED", "FAILED", "STOPPING", "STOPPED"}, STOPPING={"STOPPED", "COMPLETED", "FAILED"}
    ),
    derives=("Create", "Describe", "List", "Stop", "Delete"),
)


@drives("compilation", JOB, request=lambda _: ResourceRequest(1))
def compile_model(run: Run) -> None:
    """Compile: a role whose name ends in `bad` may not."""
    row = run.find(JOB)
    run.save("running")
    if row is not None and row.document["RoleArn"].endswith("bad"):
        end(run, JOB, "FAILED", "ClientError: the role may not")
    else:
        end(run, JOB, "COMPLETED")


# -- a service: it runs while the status asks for it, is found again after a restart, and reached by `reach.reached`

NOTEBOOK = resource(
    "NotebookInstance",
    arn_path="notebook-instance",
    status_member="NotebookInstanceStatus",
    machine=SERVICE_STATES,
    derives=("Create", "Describe", "Start", "Stop", "Delete"),
)


@drives_service("notebook")
class Notebook(ServiceJob):
    """Python's own server of files, where the environment tells it to listen."""

    resource = NOTEBOOK
    health = HealthCheck(8888, "/")
    command = (
        'exec python -m http.server --bind "${LOCALMAKER_BIND_TO_HOST:-0.0.0.0}" "${SAGEMAKER_BIND_TO_PORT:-8888}"'
    )
    wanted = Wanted("localmaker/base_python", "", command=("sh", "-c", command))


# -- a parent that waits: a pure function of what happened

PARENT = resource(
    "InferenceRecommendationsJob",
    arn_path="inference-recommendations-job",
    status_member="Status",
    machine=machine(IN_PROGRESS={"COMPLETED", "FAILED", "STOPPING"}, STOPPING={"STOPPED"}),
    filters={
        "ModelNameEquals": "InputConfig.ModelName",
        "ModelPackageVersionArnEquals": "InputConfig.ModelPackageVersionArn",
    },
    derives=("Describe", "List", "Stop"),
)


@operation("CreateInferenceRecommendationsJob")
def create(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Accept a job that makes as many compilation jobs as it may run seconds. ValidationException for none."""
    count = request.get("StoppingConditions", {}).get("MaxInvocations", 1)
    if count > (most := SETTINGS.of(cx.kernel).toy_most_children):
        raise errors.validation(f"MaxInvocations must be at most {most}.")
    row = PARENT.insert(cx, request["JobName"], request, status="IN_PROGRESS", tag_list=request.get("Tags"))
    parents.begin(cx, PARENT, row.arn, {"name": row.key, "role": request["RoleArn"], "left": count})
    return {"JobArn": row.arn}


@parents.waits(PARENT, children=("CompilationJob",))
def step(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Make the next child when there is none or the last has ended; end with the last one, or with one that failed."""
    match happened.what, happened.status:
        case "changed", "STOPPING":
            return state, [Move("STOPPED"), End()]
        case ("refused", _) | ("child", "FAILED" | "STOPPED"):
            return state, [Move("FAILED", happened.reason), End()]
        case ("begun", _) | ("child", "COMPLETED"):
            if not state["left"]:
                return state, [Move("COMPLETED"), End()]
            request = {
                "CompilationJobName": f"{state['name']}-{state['left']}",
                "RoleArn": state["role"],
                "OutputConfig": {"S3OutputLocation": "s3://bucket/out"},
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            }
            return {**state, "left": state["left"] - 1}, [Call("CreateCompilationJob", request)]
    return state, []
