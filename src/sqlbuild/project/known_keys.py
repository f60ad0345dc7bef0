"""Every key that settings, headers and sources files may hold, and what is said of those that do nothing yet.

A key of the published file formats that is not built yet is known: it gives a warning that it is ignored or, where
ignoring it would build something else than was asked for, an error.
"""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _ignored(help: str, words: str) -> dict[str, str]:
    return dict.fromkeys(words.split(), help)


_NO_EFFECT = "remove it, or go on without it"
ADDS_CHECKS = "remove it, or go on without: everything is built, but this is not checked"
_ONLY_MANAGED = "add `managed: true`, or remove it: it only means something for sources that a loader fills"

HOOK_KEYS = _words("pre_hooks post_hooks")
INCREMENTAL_KEYS = _words(
    """append_cursor_inclusive batch_concurrency batch_size cursor cursor_end cursor_grain cursor_inputs
    cursor_start cursor_type cursor_watermark_mode full_refresh incremental_mode incremental_strategy
    lookback max_microbatches merge_exclude_columns microbatch_limit microbatch_strategy on_schema_change
    replay_on_change unique_key"""
)
MODEL_KEYS = (
    INCREMENTAL_KEYS
    | _words(
        "description materialized tags group meta columns contract schema database alias retry timeout pool indexes grants "
        "audits"
    )
    | {
        "max_duration",
        "sql_analysis",
        *HOOK_KEYS,
    }
)
DEFAULTS_KEYS = MODEL_KEYS - HOOK_KEYS - {"description", "columns", "alias", "indexes", "audits"}
INDEX_KEYS = _words("columns unique where using include name")
COLUMN_KEYS = _words("type nullable description meta")
IGNORED_COLUMN_KEYS: Mapping[str, str] = {
    "migrate_from": "the column is a new one: rename it in the warehouse first to keep its values, then remove the key"
}
"""Of models."""
RETRY_KEYS = _words(
    "max_attempts initial_delay_seconds backoff_multiplier max_delay_seconds max_elapsed_seconds jitter"
)
MATERIALIZATIONS_TO_COME = _words("snapshot")
IGNORED_MODEL_KEYS: Mapping[str, str] = {
    **_ignored(ADDS_CHECKS, "model_schema critical"),
    **_ignored(
        _NO_EFFECT,
        """check_columns config constants cursor_future_action cursor_future_max_distance
        cursor_start_max_action cursor_start_max_ahead dynamic_columns engine enums function_database
        function_schema historical_input initial_valid_from invalidate_hard_deletes migrate_force
        migrate_from observed_at old_name_view order_by partition_by placeholders primary_key
        row_diff_exclude_columns row_diff_sample_rows row_diff_sample_seed row_diff_tolerances seed_database
        seed_schema snapshot_full_refresh snapshot_schema_change snapshot_strategy table_settings table_type
        time_travel_retention unaccounted_partition_policy updated_at valid_from_column valid_to_column""",
    ),
}
REFUSED_MODEL_KEYS: Mapping[str, str] = {
    "audit_factories": "write the audits under `audits`; Python that looks at the table is a @check",
}
ALL_MODEL_KEYS = MODEL_KEYS | {*IGNORED_MODEL_KEYS, *REFUSED_MODEL_KEYS, "enabled"}

SEED_KEYS = _words(
    "name description database schema meta tags group csv_settings columns retry timeout max_duration pool"
)
CSV_KEYS = _words(
    """delimiter quotechar doublequote escapechar skipinitialspace lineterminator encoding na_values keep_default_na"""
)
PLACE_DEFAULTS_KEYS = _words("seed_database seed_schema function_database function_schema")
"""Of `[defaults]`: where seeds and functions are that do not say so themselves."""
AUDIT_OPTIONS = _words("name severity run_scope description meta")
"""Of an entry under `audits`; everything else in it is an argument."""
MEASUREMENT_OPTIONS = _words("thresholds minimum_samples evidence_limit")
AUDIT_KEYS = _words("description severity sql_analysis")
"""Of the AUDIT header of a generic audit."""
SINGULAR_KEYS = AUDIT_KEYS | _words("name tags group meta retry timeout max_duration pool")
MEASUREMENT_KEYS = _words("evaluation value sample_count sample_unit evidence")
SOURCE_KEYS = _words(
    "name description database schema table expression columns tags group meta managed freshness type_enforcement contract"
)
LOADING_KEYS = _words("write_strategy cursor_column unique_key contract destination load_batch_size")
"""Of managed sources."""
IGNORED_SOURCE_KEYS: Mapping[str, str] = {
    **_ignored(_ONLY_MANAGED, "write_strategy cursor_column unique_key load_batch_size"),
    "final": _NO_EFFECT,
}

SETTINGS_TABLES = _words("connections targets settings defaults path_defaults pools vars microbatches")
SETTINGS_KEYS = SETTINGS_TABLES | _words("name adapter default_target target")
IGNORED_SETTINGS_TABLES: Mapping[str, str] = {
    **_ignored(ADDS_CHECKS, "rules scopes references"),
    **_ignored(
        _NO_EFFECT,
        """constants cost dbt diff format git janitor migrations recall review scenario sinks skills
        snapshots""",
    ),
}
RUN_KEYS = _words(
    """concurrency threads connections blocked_loop_seconds fsync keep_runs max_payload_bytes secret_env auto_load_sources
    export_paths column_contract_mode unit_test_max_real_models test_timeout default_audit_severity
    default_audit_run_scope"""
)
IGNORED_RUN_KEYS: Mapping[str, str] = {
    **_ignored(
        ADDS_CHECKS,
        """sql_analysis require_sql_analysis scenario_timeout""",
    ),
    **_ignored(
        _NO_EFFECT,
        "query_change_tracking microbatch_concurrency table_promotion_mode delta_compile",
    ),
}
TARGET_KEYS = _words("connection schema database vars concurrency")
IGNORED_TARGET_KEYS: Mapping[str, str] = {
    **_ignored(_NO_EFFECT, "loader_schema defer_sources_to"),
    **_ignored(_NO_EFFECT, "clone missing_migration_origin warehouses execution_limits diff recall"),
}
POOL_KEYS = _words("slots rate burst")
CONNECTION_KEYS: Mapping[str, frozenset[str]] = {
    "duckdb": _words("database settings extensions read_only"),
    "postgres": _words(
        """host hostaddr port user password passfile database dbname dsn service sslmode sslrootcert sslcert sslkey
        connect_timeout application_name options target_session_attrs settings search_path statement_timeout
        lock_timeout prepared_statements"""
    ),
}
IGNORED_CONNECTION_KEYS: Mapping[str, Mapping[str, str]] = {
    "duckdb": {},
    "postgres": {"temporary_test_functions": _NO_EFFECT},
}
