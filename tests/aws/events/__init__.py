"""EventBridge and Scheduler, through boto3 against a real server."""
