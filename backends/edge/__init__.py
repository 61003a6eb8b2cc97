"""Edge Manager: fleets of devices, what their agents say of themselves, and what is to be deployed to them.

AWS calls it: DeviceFleet and Device (a device's ARN and key lie below its fleet's; RegisterDevices makes several at once),
EdgePackagingJob, EdgeDeploymentPlan with its stages, and for agents the service `sagemaker-edge`: GetDeviceRegistration, SendHeartbeat,
GetDeployments. A fleet with EnableIotRoleAlias has an alias made in AWS IoT (moto's). States: a packaging job is STARTING -> INPROGRESS
-> COMPLETED | FAILED, or STOPPING -> STOPPED; a stage is READYTODEPLOY -> INPROGRESS (its devices fetch and report) -> DEPLOYED | FAILED |
STOPPED (`stages.py`). Tables: none of its own. Events sent: each noun's Created and Deleted, statuses of packaging jobs; AwsCall for an
alias. Heard: the creation of packaging jobs (queued).
Guide: "Model deployment at the edge with SageMaker Edge Manager" (https://docs.aws.amazon.com/sagemaker/latest/dg/edge.html).
"""
