"""CloudWatch: metrics, what can be computed from them, and alarms that watch them.

AWS calls it: Amazon CloudWatch (signing name `monitoring`), in CBOR, JSON and query alike.
States of an alarm: INSUFFICIENT_DATA, OK, ALARM. Tables: metric_points (kernel; training jobs' metrics stand there too),
alarm_history; alarms and dashboards are documents in `resources`. Events sent: Alarm, and AwsCall for actions; AwsCallDone is heard.
Guide: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/

    metrics.py      PutMetricData, ListMetrics; retention.py: the end of points and of history
    points.py       points -> periods; statistics.py: what one period says
    reads.py        GetMetricStatistics, GetMetricData
    grammar.py      metric math: text -> tree; mathematics.py: tree -> time series (series.py); functions.py; search.py
    alarms.py       what changes alarms; alarm_reads.py; alarm_store.py: what is kept of them; rules.py: composite ones
    judgement.py    the pure decision; watch.py: the loop; actions.py: who is told
    dashboards.py   documents that are kept
"""
