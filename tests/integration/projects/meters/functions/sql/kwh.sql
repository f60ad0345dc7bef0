FUNCTION (arguments (amount BIGINT), returns DECIMAL(12, 3));
CAST(amount AS DECIMAL(15, 3)) / 1000
