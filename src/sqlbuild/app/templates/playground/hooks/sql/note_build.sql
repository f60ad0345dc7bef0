HOOK (description "Keep a log of what was built when");
INSERT INTO @log SELECT '@@CTX:run.id', '@@CTX:model.name', count(*) FROM @@CTX:destination.qualified
