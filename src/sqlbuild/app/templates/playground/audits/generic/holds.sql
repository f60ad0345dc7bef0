AUDIT (description "A condition that every row meets");
SELECT * FROM @relation WHERE NOT (@condition)
