"""`@step` functions of SDK v2: each a job, what one returns the other's argument; steps run again selectively; Lambda steps."""

import pathlib
import tempfile

import sagemaker
from sagemaker.lambda_helper import Lambda
from sagemaker.workflow.function_step import step
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.workflow.parameters import ParameterInteger
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.selective_execution_config import SelectiveExecutionConfig

role = sagemaker.get_execution_role()
IMAGE = "236514542706.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python-310:1.0"
common = {"role": role, "instance_type": "ml.m5.large", "image_uri": IMAGE}
first = ParameterInteger(name="First", default_value=3)


@step(name="double", **common)
def double(value):
    return {"value": value * 2}


@step(name="describe", **common)
def describe(doubled, word):
    return f"{word} {doubled['value']}"


pipeline = Pipeline(name="Functions", parameters=[first], steps=[describe(double(first), "it is")])
pipeline.upsert(role_arn=role)
execution = pipeline.start(parameters={"First": 21})
execution.wait(delay=1, max_attempts=300)
assert execution.result(step_name="describe") == "it is 42", execution.list_steps()

again = pipeline.start(
    selective_execution_config=SelectiveExecutionConfig(
        source_pipeline_execution_arn=execution.arn, selected_steps=["describe"], reference_latest_execution=False
    )
)
again.wait(delay=1, max_attempts=300)
steps = {each["StepName"]: each for each in again.list_steps()}
assert steps["double"]["SelectiveExecutionResult"]["SourcePipelineExecutionArn"] == execution.arn, steps
assert again.result(step_name="describe") == "it is 42"

script = pathlib.Path(tempfile.mkdtemp()) / "shout.py"
script.write_text("def handler(event, context):\n    return {'statusCode': 200, 'said': event['word'] + '!'}\n")
said = [LambdaOutput(output_name="said", output_type=LambdaOutputTypeEnum.String)]


def shout(name, word):
    function = Lambda(
        function_name=f"shout-{name}", execution_role_arn=role, script=str(script), handler="shout.handler"
    )
    return LambdaStep(name=name, lambda_func=function, inputs={"word": word}, outputs=said)


once = shout("once", "hey")
pipeline = Pipeline(name="Lambdas", steps=[once, shout("twice", once.properties.Outputs["said"])])
pipeline.upsert(role_arn=role)
execution = pipeline.start()
execution.wait(delay=1, max_attempts=300)
outputs = {each["StepName"]: each["Metadata"]["Lambda"]["OutputParameters"] for each in execution.list_steps()}
assert {"Name": "said", "Value": "hey!!"} in outputs["twice"], outputs
print("FLOW PASSED")
