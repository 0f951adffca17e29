-- Workers whose lease has ended.
-- Tables: worker. :now. Result: JSON of their numbers.
SELECT json_group_array(id) FROM worker WHERE NOT is_dead AND lease_until <= :now
