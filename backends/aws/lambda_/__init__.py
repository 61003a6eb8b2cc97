"""Lambda functions that run. The records (functions, versions, aliases, layers, policies, mappings) are moto's; what runs is ours.

AWS calls it: Invoke, InvokeAsync. An execution environment is a service of the job runners (Docker or a process) in the
recipe `containers/aws_lambda`; it is kept warm between invocations and stopped when nobody has used it for a while.
Asynchronous invocations are durable work: tried again, then sent to the dead-letter queue or the destination.
States: none. Tables: none of its own. Events sent: `AwsCall` (destinations, dead letters). Heard: none.
Guide: "Lambda runtimes", "Understanding the Lambda execution environment lifecycle" (https://docs.aws.amazon.com/lambda/).
"""
