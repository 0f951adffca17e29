-- Which places of some joins are marked.
-- Tables: mark. :rows: JSON [[seq, span], …]. Result: JSON [[seq, span, bits], …], those without a mark left out. Run in the
-- transaction that marks more.
SELECT json_group_array(json_array(mark.seq, mark.span, bits))
FROM json_each(:rows) AS asked
CROSS JOIN mark ON mark.seq = json_extract(asked.value, '$[0]') AND mark.span = json_extract(asked.value, '$[1]')
