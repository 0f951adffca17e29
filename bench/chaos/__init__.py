"""Chaos: tasks sent and run while processes are killed and stopped, engines go away and connections are cut.

app       the tasks, as workers of either release load them
send      a producer, as a process of its own
history   what every process saw, a line each, kept whatever kills it
ground    an engine, and what can be done to it
fleet     the workers and producers
acts      what is done to them
field     one run: all of these together, until everything ended
judge     what must hold, decided from the history alone
report    the table
"""
