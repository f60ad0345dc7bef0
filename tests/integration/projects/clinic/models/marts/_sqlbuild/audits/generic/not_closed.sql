AUDIT (description "Nobody comes when the clinic is closed", severity warn);
SELECT r.* FROM @relation AS r JOIN __source("closed_days") AS c ON CAST(r.@column AS DATE) = c.closed_on
