"""What the sender holds: results of tasks, of groups and of whole workflows, to ask, wait for, watch and end."""
