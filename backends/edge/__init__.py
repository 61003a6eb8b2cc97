"""Edge Manager: fleets of devices, what their agents say of themselves, and what is to be deployed to them.

AWS calls it: DeviceFleet and Device (a device's ARN and key lie below its fleet's; RegisterDevices makes several at once), and for
agents the service `sagemaker-edge`: GetDeviceRegistration, SendHeartbeat, GetDeployments. EdgePackagingJob and EdgeDeploymentPlan wait.
A fleet with EnableIotRoleAlias has an alias made in AWS IoT (moto's). States: none. Tables: none of its own. Events sent:
DeviceFleet and Device Created and Deleted; AwsCall for an alias. Heard: none.
Guide: "Model deployment at the edge with SageMaker Edge Manager" (https://docs.aws.amazon.com/sagemaker/latest/dg/edge.html).
"""
