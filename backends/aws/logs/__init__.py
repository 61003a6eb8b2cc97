"""CloudWatch Logs: groups, streams and events, what patterns find in them, and who is told of it.

AWS calls it: Amazon CloudWatch Logs. Jobs write through `backends/core/logstore.py`. Tables: log_groups, log_streams,
log_events; filters are documents in `resources`. Events sent: AwsCall, to deliver to subscribers; none heard.
Guide: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/

    scope.py       which rows are the caller's, and the errors of what is not there
    groups.py      groups and their retention and tags; streams.py: streams; events.py: what stands in them
    pattern.py     filter patterns; filters.py: metric and subscription filters; follow.py: the loop that applies them
"""
