-- Write which places of some joins are marked, and how many.
-- Tables: mark. :rows: JSON [[seq, span, bits], …]. Run in the transaction that read them.
INSERT INTO mark (seq, span, bits)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
FROM json_each(:rows)
WHERE true
ON CONFLICT (seq, span) DO UPDATE SET bits = excluded.bits
