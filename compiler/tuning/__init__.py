"""Schedules found by measurement: candidates, trials on this machine, the store of results.

Lowering asks a ``Scheduler`` for the schedule of every kernel call. Here are the ones that
answer from measurements, and what makes those: a task is a kernel with an operation, a
candidate is a task with a schedule, a trial is a candidate that was compiled and timed.
"""
