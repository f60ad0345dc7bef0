FUNCTION (arguments (amount BIGINT), returns table (side VARCHAR, cents BIGINT));
SELECT 'debit' AS side, amount AS cents WHERE amount > 0
UNION ALL
SELECT 'credit' AS side, -amount AS cents WHERE amount < 0
