"""Lineage of SDK v2: what an endpoint serves, what a dataset became, and queries with filters, both ways."""

import sagemaker
from sagemaker.lineage.action import Action
from sagemaker.lineage.artifact import Artifact, DatasetArtifact, ModelArtifact
from sagemaker.lineage.association import Association
from sagemaker.lineage.context import Context, EndpointContext
from sagemaker.lineage.query import (
    LineageEntityEnum,
    LineageFilter,
    LineageQuery,
    LineageQueryDirectionEnum,
    LineageSourceEnum,
)

session = sagemaker.Session()
common = {"sagemaker_session": session}
data = Artifact.create(artifact_name="data", source_uri="s3://b/data", artifact_type="DataSet", **common)
model = Artifact.create(artifact_name="model", source_uri="s3://b/model", artifact_type="Model", **common)
deploy = Action.create(action_name="deploy", source_uri="s3://b/e", action_type="ModelDeployment", **common)
place = Context.create(context_name="place", source_uri="arn:e", context_type="Endpoint", **common)
component = session.sagemaker_client.create_trial_component(TrialComponentName="train")["TrialComponentArn"]
for source, destination, kind in (
    (data.artifact_arn, component, "ContributedTo"),
    (component, model.artifact_arn, "Produced"),
    (model.artifact_arn, deploy.action_arn, "ContributedTo"),
    (deploy.action_arn, place.context_arn, "AssociatedWith"),
):
    Association.create(source_arn=source, destination_arn=destination, association_type=kind, **common)

query = LineageQuery(session)
answer = query.query(start_arns=[model.artifact_arn])
assert len(answer.vertices) == 5, answer.vertices
assert len(answer.edges) == 4, answer.edges
datasets = LineageFilter(entities=[LineageEntityEnum.ARTIFACT], sources=[LineageSourceEnum.DATASET])
answer = query.query(
    [place.context_arn], LineageQueryDirectionEnum.ASCENDANTS, include_edges=False, query_filter=datasets
)
assert [vertex.to_lineage_object().source.source_uri for vertex in answer.vertices] == ["s3://b/data"]

dataset = DatasetArtifact.load(artifact_arn=data.artifact_arn, **common)
assert [each.context_name for each in dataset.endpoint_contexts()] == ["place"]
served = ModelArtifact.load(artifact_arn=model.artifact_arn, **common)
assert [each.artifact_arn for each in served.dataset_artifacts()] == [data.artifact_arn]
endpoint = EndpointContext.load(context_name="place", **common)
assert [each.artifact_arn for each in endpoint.dataset_artifacts()] == [data.artifact_arn]
assert [each.action_name for each in endpoint.actions(LineageQueryDirectionEnum.ASCENDANTS)] == ["deploy"]
print("FLOW PASSED")
