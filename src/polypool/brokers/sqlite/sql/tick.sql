-- Number this transaction among those that others may wait for.
-- Tables: clock. Result: the number. Rises in the order of commits, since writers are one at a time.
UPDATE clock SET changes = changes + 1 RETURNING changes
