"""EventBridge: buses, rules, what they match and whom they call; and EventBridge Scheduler.

AWS calls it: Amazon EventBridge, Amazon EventBridge Scheduler. States: ENABLED, DISABLED. Tables: event_timers; buses, rules with
their targets, schedules and groups are documents in `resources`; promised deliveries are work items. Events sent: none; every
change of status is heard as it is written (`backends/core/events.py`). Guide: https://docs.aws.amazon.com/eventbridge/latest/userguide/

    scope.py       names, ARNs, errors, pages
    pattern.py     event patterns; inputs.py: what a target is sent; cron.py: schedule expressions
    buses.py       buses, policies, tags; rules.py: rules; targets.py: their targets
    publish.py     events that come, and the promises to targets that they make; sagemaker.py: SageMaker's own events
    deliver.py     what was promised is done, retried, or given up; calls.py: how each kind of target is called
    timers.py      when what comes next; ticks.py: the loop; schedules.py, groups.py: Scheduler
"""
