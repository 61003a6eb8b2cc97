"""Endpoints: models served over HTTP, and the invocations that reach them.

AWS calls it: EndpointConfig and Endpoint (Create, Describe, List, Update, Delete, UpdateEndpointWeightsAndCapacities),
and the runtime's InvokeEndpoint, InvokeEndpointWithResponseStream and InvokeEndpointAsync. States of an endpoint:
Creating, InService, Updating, Deleting, Failed. Tables: none of its own; what InvokeEndpointAsync has accepted is promised
work, under the endpoint's ARN. `operations.py` accepts, `engine.py` makes the containers what the document says, `fleet.py`
knows who serves what right now, `invoke.py` is the hot path. Events sent: Endpoint at each status. Heard: Endpoint
Creating, Updating, Deleting.
Guide: "Real-time inference" (https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints.html).
"""
