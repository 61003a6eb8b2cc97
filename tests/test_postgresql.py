"""The same tests on a real PostgreSQL: those that touch what SQL dialects differ in, and in the long run all of the state's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import postgresql

ROOT = Path(__file__).parents[1]
DIALECT = {
    "tests/core/test_db.py": (
        "test_one_failure_in_a_shared_turn_undoes_only_itself",
        "test_what_follows_a_commit_never_follows_a_rollback",
        "test_a_thread_writes_through_the_loop_and_sees_its_write",
        "test_many_threads_and_the_loop_write_at_once",
        "test_an_abandoned_write_is_still_committed",
        "test_reads_see_what_was_written_and_do_not_write",
        "test_a_write_from_a_thread_ends_when_the_server_stops",
    ),
    "tests/core/test_lifecycle.py": (
        "test_a_legal_move_changes_the_document_and_writes_one_event",
        "test_a_stale_row_is_refused",
        "test_listeners_hear_after_the_commit_and_deliveries_end",
        "test_a_failing_listener_is_tried_again_and_order_is_kept",
        "test_an_event_written_before_a_crash_is_delivered_after_it",
        "test_parked_deliveries_can_be_retried",
        "test_the_same_name_is_refused_in_one_account_and_free_in_another",
        "test_what_one_failing_listener_holds_up_keeps_nobody_else_waiting",
        "test_old_events_go_and_those_somebody_waits_for_stay",
    ),
    "tests/core/test_resources.py": (
        "test_a_composite_key_belongs_to_its_parent",
        "test_versions_count_up_and_do_not_come_again_and_go_with_their_parent",
        "test_a_client_token_at_once_does_a_request_once",
    ),
    "tests/core/test_parents.py": (
        "test_a_parent_goes_on_when_its_children_have_and_when_its_time_has_come",
        "test_a_refused_call_leaves_nothing_and_is_heard",
        "test_steps_at_once_lose_none_of_their_states",
    ),
    "tests/core/test_work.py": ("test_what_is_done_for_a_forgotten_key_holds_no_place",),
    "tests/core/test_search.py": (
        "test_search_finds_what_an_expression_is_true_of",
        "test_contains_folds_case_in_every_script",
        "test_text_with_a_nul_is_stored_and_found_on_either_database",
        "test_a_large_expression_is_answered_and_one_too_large_refused",
        "test_order_times_and_suggestions",
        "test_hits_are_counted_over_all_pages_and_not_for_ever",
        "test_what_has_a_tag_is_visible_with_its_value_only",
        "test_what_is_in_use_is_suggested",
    ),
    "tests/core/test_plans.py": ("test_a_filter_that_is_true_of_few_or_of_many_gives_the_same",),
    "tests/core/test_races.py": (
        "test_first_uses_at_once",
        "test_a_name_is_given_once",
        "test_a_role_is_kept_and_changed",
        "test_changes_of_a_role_at_once_are_all_kept",
        "test_tags_of_one_resource_at_once_are_all_kept",
        "test_of_two_transactions_that_wait_for_each_other_both_are_done",
    ),
    "tests/core/test_migrations.py": (
        "test_migrated_is_declared_on_postgresql",
        "test_roles_and_keys_of_the_first_schema_are_kept",
        "test_points_of_before_are_still_there",
    ),
    "tests/core/test_private.py": (
        "test_keys_end_with_their_session",
        "test_an_unknown_key_is_looked_up_once",
    ),
    "tests/models/test_operations.py": (
        "test_a_taken_name_is_refused_with_awss_sentence",
        "test_filters_and_sorts",
        "test_all_pages_together_are_the_whole_without_repeats",
    ),
    "tests/edge/test_edge.py": ("test_of_many_that_register_the_same_devices_at_once_one_does",),
    "tests/ground_truth/test_workforce.py": ("test_of_many_at_once_one_workforce_is_made",),
    "tests/hubs/test_contents.py": ("test_of_many_versions_at_once_the_newest_is_shown",),
    "tests/server/test_gateway.py": (
        "test_many_clients_at_once_get_their_own_answers",
        "test_reset_forgets_one_account_only",
    ),
    "tests/aws/test_iam.py": (
        "test_names_differ_in_more_than_case",
        "test_pages_together_are_the_whole",
    ),
    "tests/aws/ecr/test_registry.py": (
        "test_lists_tags_in_pages_and_what_refers_to_an_image",
        "test_a_layer_is_shared_between_repositories",
    ),
    "tests/aws/ecr/test_images.py": ("test_an_image_goes_with_its_last_tag_and_not_while_a_list_has_it",),
    "tests/aws/s3/test_buckets.py": (
        "test_buckets_are_listed_in_pages",
        "test_names_are_global_and_other_accounts_are_denied",
    ),
    "tests/aws/s3/test_objects.py": (
        "test_a_key_with_a_nul_is_kept_or_refused",
        "test_conditions_on_writes",
        "test_tags",
    ),
    "tests/aws/s3/test_versions.py": (
        "test_pages_of_versions_are_the_whole_listing",
        "test_every_write_is_kept",
        "test_many_are_deleted_with_their_versions",
        "test_conditions_ask_for_the_current_version",
    ),
    "tests/aws/s3/test_lifecycle.py": (
        "test_objects_expire_by_prefix_tag_and_size",
        "test_versions_and_delete_markers_expire",
    ),
    "tests/aws/s3/test_multipart.py": (
        "test_uploads_are_listed_in_pages",
        "test_parts_become_one_object",
        "test_conditional_completion",
    ),
    "tests/aws/s3/test_notifications.py": ("test_what_is_acknowledged_is_told_through_a_crash",),
    "tests/aws/cloudwatch/test_alarms.py": (
        "test_alarms_and_history_come_in_pages",
        "test_an_alarm_follows_its_metric",
    ),
    "tests/aws/logs/test_filters.py": (
        "test_events_are_found_by_pattern_in_pages_that_lose_none",
        "test_prefixes_do_not_fold_case",
        "test_retention_is_kept_by_the_clock",
    ),
    "tests/core/test_names.py": (
        "test_names_are_found_as_if_each_was_read",
        "test_postgresql_has_an_index_of_trigrams",
    ),
    "tests/aws/events/test_schedules.py": ("test_rules_come_by_the_accounts_clock", "test_groups_and_schedules"),
    "tests/training/test_operations.py": (
        "test_lists_filter_sort_and_page",
        "test_a_name_is_taken_once",
    ),
    "tests/lineage/test_query.py": (
        "test_any_graph_is_walked_as_a_simple_one_is",
        "test_without_a_start_all_entities_are_filtered",
    ),
    "tests/jobs/test_queue.py": ("test_a_reset_ends_running_jobs_and_leaves_nothing",),
}
"""What the two databases could differ in: writers at once, conflicts, order and case, pages, JSON, schema; at most 80."""

EVERYTHING = (
    "tests/core",
    "tests/models",
    "tests/server/test_gateway.py",
    "tests/aws/test_iam.py",
    "tests/aws/ecr/test_images.py",
    "tests/aws/ecr/test_registry.py",
    "tests/aws/s3/test_buckets.py",
    "tests/aws/s3/test_objects.py",
    "tests/aws/s3/test_lifecycle.py",
    "tests/aws/s3/test_multipart.py",
    "tests/aws/s3/test_notifications.py",
    "tests/aws/s3/test_versions.py",
    "tests/aws/cloudwatch/test_alarms.py",
    "tests/aws/logs/test_filters.py",
    "tests/aws/moto",
    "tests/training/test_operations.py",
    "tests/jobs/test_queue.py::test_a_reset_ends_running_jobs_and_leaves_nothing",
)
EVERY = "LOCALMAKER_TEST_POSTGRESQL_ALL" in os.environ
"""The long run repeats everything."""
NOT_THESE = ("--ignore=tests/core/test_prepared.py",)  # about SQLite's driver


def chosen() -> list[str]:
    """Return what is run on PostgreSQL."""
    if EVERY:
        return [*EVERYTHING]
    return [f"{path}::{name}" for path, names in DIALECT.items() for name in names]


@pytest.mark.slow
@pytest.mark.skipif(postgresql.programs() is None, reason="PostgreSQL is not installed")
@pytest.mark.skipif(postgresql.is_wanted(), reason="this is the run on PostgreSQL")
def test_the_same_tests_pass_on_postgresql() -> None:
    environment = {**os.environ, postgresql.VARIABLE: "1"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *NOT_THESE, *chosen()]
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout[-6000:]
    print(ran.stdout.splitlines()[-1])  # noqa: T201 - how many, for whoever reads the log
