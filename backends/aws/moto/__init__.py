"""All other services, answered by moto's in-process backends on one thread: they are not made for several.

Moto's state lives in memory. What changes it is recorded (table moto_requests) and replayed, in order, before the first
request after a start is answered; so identifiers, messages, functions and keys survive a restart. moto's own recorder does not
hold for that: it neither orders nor syncs, leaves the randomness to chance, and replays over HTTP.

States: none. Tables: moto_requests. Events heard: AwsCall (a component calls a service of moto's); sent: AwsCallDone.
Guide: https://docs.getmoto.org/

    adapter.py     a request in, an answer out; calls that components make
    recording.py   which requests are recorded, and how; tables.py
    replay.py      the recording back into moto; seams.py: its clock, its randomness, the keys it cannot make again
    handed_over.py what was recorded of services that are ours now
    stacks.py      CloudFormation's stacks; stack_*.py, templates.py, journal.py and half_made.py: their resources here
    functions.py   Lambda functions, for what runs them (`../lambda_`)
    wsgi.py        moto's own HTTP application
"""
