"""Hubs: an account's own models, notebooks, data sets and documents in versions, and references to public models.

AWS calls it: Hub, HubContent (`hub-content/<hub>/<type>/<name>/<version>`), HubContentReference, which is a HubContent of the
type ModelReference. States: a hub is InService, a content Available as soon as it is there; nothing runs behind them. A hub
with contents refuses its deletion. Tables: none of its own. Events sent: Hub and HubContent created, deleted. Heard: none.
The public hub's contents are not here: a reference shows what it refers to, and no document of it.
Guide: "Private curated hubs for foundation model access control in JumpStart"
(https://docs.aws.amazon.com/sagemaker/latest/dg/jumpstart-curated-hubs.html).
"""
