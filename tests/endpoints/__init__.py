"""Tests of the main job, through boto3 against a real server."""
