-- Ring a bell to hear whether bells are heard.
-- No tables. $1 what to say.
SELECT pg_notify('polypool:echo', $1::text)
