"""Partner applications, from the AWS Marketplace; there is none to run outside AWS.

AWS calls it: PartnerApp. States: none, since nothing can be made until its engine is there: Create
answers 501 (NotImplemented) and says what it waits for, List an empty page, the rest AWS's not-found.
Tables: none. Events: none.
Guide: "Partner AI apps overview" (https://docs.aws.amazon.com/sagemaker/latest/dg/partner-apps.html).
"""
