"""Ground Truth and Augmented AI: who works, by which interface; labeling jobs and human loops are to come.

AWS calls it: Workforce (one for each account and region, by Cognito or OIDC), Workteam (`workteam/private-crowd/<name>`),
SubscribedWorkteam (there are none: no marketplace), HumanTaskUi (an HTML template in Liquid; its Url has the template
itself), FlowDefinition, LabelingJob. States: all but jobs are records, Active at once; jobs wait for their engine, their
Create answers 501, and so do human loops. RenderUiTemplate renders in a process of its own, without files and within bounds
of time and memory. Tables: none of its own. Events sent: each created, deleted. Heard: none.
Guide: "Training data labeling using humans with Amazon SageMaker Ground Truth" and "Using Amazon Augmented AI for Human Review"
(https://docs.aws.amazon.com/sagemaker/latest/dg/sms.html).
"""
