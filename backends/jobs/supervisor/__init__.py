"""The program that outlives the server: one process per job, standard library only.

It is started as `python -I -S` with this folder's parent at the end of `sys.path`, so nothing of ours outside this
folder is imported by it (a start costs about 25 ms). It reads `plan.json`, starts the hosts, writes their output to
`log`, feeds FIFOs, mirrors checkpoints, and writes `exit.json`. It holds a lock on `lock` for its whole life: who can
take that lock knows that the supervisor is gone. `files.py` names every file of the directory. As it stands below every
layer of the server, any of them may import what is here.
"""
