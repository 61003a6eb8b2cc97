"""Model Monitor: definitions of what is watched, against which baseline. Schedules wait for their engine: Create answers 501.

AWS calls it: DataQualityJobDefinition, ModelQualityJobDefinition, ModelBiasJobDefinition, ModelExplainabilityJobDefinition,
MonitoringSchedule. States: none. Tables: none of its own. Events sent: each definition created and deleted. Heard: none.
Guide: "Data and model quality monitoring with Amazon SageMaker Model Monitor"
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor.html).
"""
