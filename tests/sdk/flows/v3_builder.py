"""ModelBuilder and the typed resources of SDK v3: a model trained here, built, deployed, invoked, listed, deleted."""

import io
import json
import struct
import tarfile

import boto3
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.serializers import JSONLinesSerializer, LibSVMSerializer
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
from sagemaker.core.transformer import Transformer
from sagemaker.core.utils.exceptions import FailedStatusError
from sagemaker.serve import ModelBuilder
from sagemaker.serve.builder.schema_builder import SchemaBuilder

session = Session()
role = get_execution_role()
region = session.boto_region_name
image = image_uris.retrieve("sklearn", region, version="1.2-1", instance_type="ml.m5.large")

SCRIPT = """
import json

def model_fn(folder):
    return open(folder + "/factor.txt").read()

def input_fn(body, content_type):
    if content_type != "application/x-recordio-protobuf" and isinstance(body, bytes):
        body = body.decode()
    if content_type == "text/libsvm":
        return [float(part.split(":")[1]) for part in body.split() if ":" in part]
    if content_type == "application/x-recordio-protobuf":
        return [body.count(bytes.fromhex("0a23d7ce"))]  # the magic number of each frame
    if content_type == "application/jsonlines":
        return [value for line in body.splitlines() for value in json.loads(line)]
    return json.loads(body)

def predict_fn(data, model):
    return [float(model) * value for value in data]

def output_fn(answer, accept):
    return json.dumps(answer), "application/json"
"""
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w:gz") as archive:
    for name, text in (("factor.txt", "3"), ("code/inference.py", SCRIPT)):
        member = tarfile.TarInfo(name)
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
artifact = f"s3://{session.default_bucket()}/v3/model.tar.gz"
boto3.client("s3").put_object(Bucket=session.default_bucket(), Key="v3/model.tar.gz", Body=packed.getvalue())
variables = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}

# Session
bucket = session.default_bucket()
session.upload_string_as_file_body("some text", bucket, "v3/text.txt")
assert session.read_s3_file(bucket, "v3/text.txt") == "some text"
assert set(session.list_s3_files(bucket, "v3/")) == {"v3/model.tar.gz", "v3/text.txt"}

# Typed resources
model = Model.create(
    model_name="typed",
    execution_role_arn=role,
    primary_container=ContainerDefinition(image=image, model_data_url=artifact, environment=variables),
)
EndpointConfig.create(
    endpoint_config_name="typed",
    production_variants=[
        ProductionVariant(
            variant_name="all",
            model_name="typed",
            initial_instance_count=1,
            instance_type="ml.m5.large",
            initial_variant_weight=1.0,
        )
    ],
)
endpoint = Endpoint.create(endpoint_name="typed", endpoint_config_name="typed")
endpoint.wait_for_status("InService")
answer = endpoint.invoke(body=json.dumps([1, 2]), content_type="application/json", accept="application/json")
assert json.loads(answer.body.read()) == [3.0, 6.0]
assert [each.model_name for each in Model.get_all()] == ["typed"]
endpoint.delete()


# Batch transform
def transform(name, body, kind, split_type, strategy="MultiRecord"):
    """Begin a job over one object."""
    boto3.client("s3").put_object(Bucket=bucket, Key=f"v3/{name}-in/{name}", Body=body)
    given = {"strategy": strategy, "assemble_with": "Line", "accept": "application/json", "sagemaker_session": session}
    made = Transformer("typed", 1, "ml.m5.large", **given)
    made.transform(f"s3://{bucket}/v3/{name}-in/", content_type=kind, split_type=split_type, wait=False)
    return made


rows = [[1.0], [2.0, 3.0]]
frame = struct.pack("<II", 0xCED7230A, 4) + b"four"  # what its RecordSerializer would write raises NotImplementedError
begun = {
    "single": (transform("single", b"[1]\n[2, 3]\n", "application/json", "Line", "SingleRecord"), [[3], [6, 9]]),
    "lines": (transform("lines", JSONLinesSerializer().serialize(rows), "application/jsonlines", "Line"), [[3, 6, 9]]),
    "libsvm": (transform("libsvm", LibSVMSerializer().serialize("1 1:2\n0 2:4\n"), "text/libsvm", "Line"), [[6, 12]]),
    "records": (
        transform(
            "records",
            frame * 5,
            "application/x-recordio-protobuf",
            "RecordIO",
        ),
        [[15]],
    ),
}
bad = transform("bad", b"[1]\nnone\n", "application/json", "Line", "SingleRecord")
long = transform("long", b"[1]\n" * 300_000, "application/json", "Line", "SingleRecord")
long.stop_transform_job(wait=False)

# ModelBuilder
builder = ModelBuilder(
    image_uri=image,
    s3_model_data_url=artifact,
    role_arn=role,
    env_vars=variables,
    instance_type="ml.m5.large",
    sagemaker_session=session,
    schema_builder=SchemaBuilder([1.0], [3.0]),
)
for name, (transformer, expected) in begun.items():
    transformer.wait(logs=False)
    scored = session.read_s3_file(bucket, f"{transformer.output_path.split('/', 3)[3]}/{name}.out")
    assert [json.loads(line) for line in scored.splitlines()] == expected, (name, scored)
try:
    bad.wait(logs=False)
except FailedStatusError as error:
    assert "See job logs" in str(error), error
else:
    raise AssertionError("a record that is none was transformed")
long.latest_transform_job.refresh()
assert long.latest_transform_job.transform_job_status == "Stopped"

built = builder.build(model_name="built")
served = builder.deploy(endpoint_name="built", initial_instance_count=1, instance_type="ml.m5.large")
answer = served.invoke(body=json.dumps([4]), content_type="application/json", accept="application/json")
assert json.loads(answer.body.read()) == [12.0]
served.delete()
model.delete()
print("FLOW PASSED")
