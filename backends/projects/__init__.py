"""Projects from Service Catalog's templates, and the switch that offers SageMaker's own templates there.

AWS calls it: Project, and the SageMaker Service Catalog portfolio (Enable, Disable, Get...Status). States: of the switch,
Enabled and Disabled, for each account and region; a project waits for Service Catalog's provisioning: its Create answers 501
(NotImplemented), List an empty page, the rest AWS's not-found. Tables: none of its own. Events: none.
Guide: "MLOps Automation With SageMaker Projects" (https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-projects.html).
"""
