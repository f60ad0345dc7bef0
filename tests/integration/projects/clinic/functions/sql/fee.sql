FUNCTION (
  description "What a visit costs",
  arguments (minutes INTEGER, hourly_fee DECIMAL(8, 2)),
  returns DECIMAL(10, 2),
);

ROUND(minutes * hourly_fee / 60, 2)
