"""S3 on disk, through boto3 against a real server."""
