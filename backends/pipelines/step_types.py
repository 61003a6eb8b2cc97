"""The types of steps that make one resource by one operation: the operation, its member for the name, and what ends it.

`compared`: the arguments that decide whether an earlier run of the step may stand for it (guide, "Caching Pipeline Steps").
Source: the schema of definitions; developer guide, "Pipelines steps"; botocore's model.
"""

from __future__ import annotations

from dataclasses import dataclass

OTHER = (
    "Condition", "Fail", "Callback", "Lambda", "Lineage", "EMR", "EMRServerless", "ClarifyCheck", "QualityCheck", "Athena",
    "BedrockCustomModel", "BedrockCustomModelDeployment", "BedrockModelImport", "BedrockProvisionedModelThroughput",
    "ForEach", "Cleanup", "NotebookJob", "Job", "HubContent",
)  # fmt: skip
"""Types of steps that are more, or other, than one call of SageMaker."""


@dataclass(frozen=True, slots=True)
class StepType:
    """One type. `ends`: the statuses that end what it makes, whether each is a success; without, it is there at once.

    `longest`: how long a name may be; 0 where it has none. `compared`: paths; empty: what it makes is not cached.
    """

    create: str
    metadata: str
    name: str = ""
    ends: tuple[tuple[str, bool], ...] = ()
    stop: str = ""
    longest: int = 63
    tagged: bool = True
    compared: tuple[str, ...] = ()

    def outcome(self, status: str) -> bool | None:
        """Return whether a status ends it well or badly; None for one that does not end it."""
        return False if status == "Deleted" else dict(self.ends).get(status)


JOB = (("Completed", True), ("Failed", False), ("Stopped", False))
SERVED = (("InService", True), ("Failed", False))
TYPES: dict[str, StepType] = {
    "Training": StepType(
        "CreateTrainingJob", "TrainingJob", "TrainingJobName", JOB, "StopTrainingJob",
        compared=(
            "AlgorithmSpecification", "CheckpointConfig", "DebugHookConfig", "DebugRuleConfigurations", "Environment",
            "HyperParameters", "InputDataConfig",
        ),
    ),
    "Processing": StepType(
        "CreateProcessingJob", "ProcessingJob", "ProcessingJobName", JOB, "StopProcessingJob",
        compared=("AppSpecification", "Environment", "ProcessingInputs"),
    ),
    "Transform": StepType(
        "CreateTransformJob", "TransformJob", "TransformJobName", JOB, "StopTransformJob",
        compared=("DataProcessing", "Environment", "ModelName", "TransformInput"),
    ),
    "Tuning": StepType(
        "CreateHyperParameterTuningJob", "TuningJob", "HyperParameterTuningJobName", JOB, "StopHyperParameterTuningJob", 32,
        compared=(
            "HyperParameterTuningJobConfig",
            *(
                f"TrainingJobDefinition.{name}" for name in (
                    "AlgorithmSpecification", "HyperParameterRanges", "InputDataConfig", "StaticHyperParameters", "TuningObjective"
                )
            ),
            "TrainingJobDefinitions",
        ),
    ),
    "AutoML": StepType(
        "CreateAutoMLJob", "AutoMLJob", "AutoMLJobName", JOB, "StopAutoMLJob", 32,
        compared=(
            *(
                f"AutoMLJobConfig.{name}"
                for name in ("CompletionCriteria", "CandidateGenerationConfig", "DataSplitConfig", "Mode")
            ),
            "AutoMLJobObjective", "InputDataConfig", "ProblemType",
        ),
    ),
    "Model": StepType("CreateModel", "Model", "ModelName"),
    "RegisterModel": StepType("CreateModelPackage", "RegisterModel", ends=JOB[:2], longest=0, tagged=False),
    "EndpointConfig": StepType("CreateEndpointConfig", "EndpointConfig", "EndpointConfigName", compared=("ProductionVariants",)),
    "Endpoint": StepType("CreateEndpoint", "Endpoint", "EndpointName", SERVED, compared=("EndpointConfigName", "EndpointName")),
    "InferenceComponent": StepType("CreateInferenceComponent", "InferenceComponent", "InferenceComponentName", SERVED),
}  # fmt: skip
CHILDREN = ("TrainingJob", "ProcessingJob", "TransformJob", "HyperParameterTuningJob", "AutoMLJob", "ModelPackage", "Endpoint", "InferenceComponent")  # fmt: skip
"""The kinds of resources whose statuses end steps."""
KNOWN = frozenset({*TYPES, *OTHER})
