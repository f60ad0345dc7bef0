AUDIT (description "An entry of nothing");
SELECT * FROM __ref("@model") WHERE @column = 0
