"""Work in the background: jobs that take minutes, on durable queues (DBOS Transact), by any number of workers.

A worker takes a job from the queue and does it in chunks. A chunk is one transaction with all that it changes, its counts and
where the job goes on, so that a crash costs at most the chunk that was under way (`couponry.core.jobs`).
"""
