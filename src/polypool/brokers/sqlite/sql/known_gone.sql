-- Which of some messages were cancelled or purged while copies of them were carried.
-- Tables: gone. :ids: JSON, :now. Result: JSON of ids.
SELECT json_group_array(id) FROM gone WHERE id IN (SELECT value FROM json_each(:ids)) AND until > :now
