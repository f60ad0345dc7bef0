FUNCTION (arguments (amount BIGINT, factor DECIMAL(10, 4)), returns BIGINT);
CAST(ROUND(amount * factor) AS BIGINT)
