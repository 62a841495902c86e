//! What every store promises, as tests. A store brings a [`Fixture`] and calls [`store_conformance!`](crate::store_conformance):
//! each promise becomes a test of its own, on data of its own and a clock that only the test moves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects by failing")]

pub mod accounts;
pub mod attempts;
pub mod characters;
pub mod claims;
pub mod conversations;
pub mod feed;
pub mod gallery;
pub mod importing;
pub mod leases;
pub mod mails;
pub mod personal;
pub mod personas;
pub mod reports;
pub mod revisions;
pub mod rooms;
pub mod roster;
pub mod safety;
pub mod search;
pub mod sending;
pub mod threads;
pub mod uploads;
mod world;

pub use world::{Fixture, World};

/// `store_conformance!(Expr)`: `Expr` makes a fresh [`Fixture`] with no data.
#[macro_export]
macro_rules! store_conformance {
    ($fixture:expr) => {
        $crate::store_conformance! { @tests $fixture;
            accounts: [
                a_user_is_found_by_id_username_and_login,
                emails_and_usernames_are_unique_without_case,
                a_change_of_a_user_keeps_what_is_not_given,
                a_session_ends_with_its_time_and_lives_on_when_used,
                a_session_that_is_made_again_changes_nothing,
                a_revoked_session_has_no_member,
                all_sessions_but_one_are_revoked,
                a_member_is_its_user_as_it_is_now,
                a_deleted_user_leaves_nothing_private,
                a_shared_conversation_survives_a_member_and_not_its_owner
            ];
            attempts: [
                exactly_the_limit_of_attempts_is_admitted_in_a_window,
                an_attempt_too_many_starts_a_block_that_is_not_lengthened,
                cleared_attempts_count_no_more,
                attempts_at_once_from_two_stores_are_exact
            ];
            characters: [
                a_character_is_stored_as_said,
                a_card_is_kept_as_it_came_and_lists_do_without_details,
                an_id_is_taken_once,
                only_the_next_revision_is_stored,
                a_deleted_character_is_gone_but_its_conversations_stay_readable,
                lists_show_public_characters_and_ones_own,
                pages_of_a_list_meet_without_a_gap,
                a_list_is_narrowed_by_tag_and_text,
                a_list_is_of_favourites_or_of_an_owner,
                a_list_of_those_talked_with_has_the_last_first,
                a_strange_cursor_counts_as_none
            ];
            search: [
                messages_are_found_as_they_are_typed,
                only_members_find_what_was_said,
                what_was_deleted_or_erased_is_not_found,
                what_fits_better_comes_first,
                of_much_that_fits_the_newest_of_each_conversation_is_put_in_order,
                a_text_of_any_characters_can_be_searched,
                characters_are_found_by_name_first,
                characters_are_found_by_who_made_them,
                tags_are_counted_of_what_a_list_shows
            ];
            conversations: [
                the_same_pair_has_one_conversation,
                a_pair_may_begin_anew,
                a_pair_that_opens_at_once_has_one_conversation,
                a_conversation_starts_with_the_greeting,
                only_members_see_a_conversation,
                members_come_and_go_by_the_rules,
                the_list_has_the_last_changed_first,
                pages_of_messages_are_in_order_of_seq,
                a_deleted_conversation_takes_its_messages
            ];
            sending: [
                a_message_has_the_next_seq_and_is_due,
                a_client_id_sends_once,
                two_hundred_sends_of_one_client_id_at_once_make_one_message,
                five_hundred_sends_at_once_admit_exactly_the_limit,
                kinds_are_counted_apart,
                usage_starts_anew_a_day_after_the_first_use,
                a_full_line_refuses_and_counts_nothing,
                the_message_being_answered_does_not_wait,
                a_users_conversations_share_what_he_may_send_to_a_character,
                a_text_of_any_characters_is_stored_as_it_is_answered,
                strangers_and_deleted_characters_get_no_message,
                seq_has_no_gap_when_sends_and_replies_meet
            ];
            claims: [
                a_claim_takes_the_lowest_due_message,
                a_conversation_is_answered_by_one_at_a_time,
                a_character_gives_no_more_replies_than_it_may,
                claims_at_once_from_two_stores_never_meet,
                a_stale_fence_never_commits,
                a_reply_is_committed_once,
                tokens_are_added_with_the_reply,
                an_ended_claim_leaves_its_message_as_told,
                stop_tells_the_one_who_answers,
                stop_cancels_what_waits_in_order,
                a_reply_that_was_told_to_stop_is_not_begun_again,
                retry_makes_a_message_due_with_one_more_attempt,
                due_work_is_listed_oldest_first_but_for_what_is_held,
                the_context_pairs_each_answered_message_with_its_reply,
                a_deleted_conversation_commits_nothing
            ];
            leases: [
                a_lease_lives_while_it_is_renewed,
                a_lapsed_lease_is_not_renewed,
                the_oldest_living_server_leads,
                who_only_works_is_not_counted_among_those_who_serve,
                nobody_claims_without_a_lease,
                a_dead_holders_claim_is_free,
                an_ended_lease_gives_back_what_it_holds,
                an_ended_lease_keeps_what_was_told_to_stop_from_being_answered
            ];
            mails: [
                an_occasion_has_one_mail,
                a_mail_waits_for_its_time,
                one_server_claims_a_mail,
                claims_of_a_mail_at_once_from_two_stores_never_meet,
                a_dead_servers_mail_is_sent_by_another_unless_it_was_handed_over,
                what_was_not_taken_is_tried_again_later,
                a_dropped_mail_comes_up_again_with_its_occasion,
                a_link_that_could_not_be_delivered_shows_in_its_readers_standing,
                a_token_confirms_an_address_once,
                a_token_sets_a_password_once_and_ends_all_sessions,
                a_reset_at_once_from_two_stores_is_done_once,
                notices_are_unwanted_each_by_itself,
                presence_ends_with_a_socket_or_with_its_time,
                a_sweep_takes_mails_that_ended_and_tokens_that_are_over,
                a_warning_goes_where_it_was_going_whatever_comes_next
            ];
            personal: [
                preferences_are_replaced_whole_and_told,
                preferences_of_a_version_are_replaced_once,
                a_draft_lives_from_its_last_save,
                a_user_has_so_many_drafts,
                a_draft_that_was_deleted_comes_back_newer,
                a_closed_account_is_signed_out_and_may_come_back,
                what_a_closed_account_waits_for_is_cancelled,
                an_account_is_erased_when_its_grace_is_over,
                what_is_taken_along_has_every_answer_and_what_was_deleted
            ];
            personas: [
                a_persona_is_stored_as_said,
                one_persona_is_the_default_or_none,
                a_user_has_so_many_personas,
                a_member_plays_what_was_chosen_or_else_the_default,
                a_deleted_persona_leaves_the_default,
                speakers_are_told_by_the_persona_that_each_plays,
                a_personas_picture_is_ones_own_and_seen_where_it_is_played,
                personas_go_with_their_account
            ];
            feed: [
                changes_come_in_order_after_a_cursor,
                what_is_cached_elsewhere_is_told,
                another_store_sees_the_change,
                a_sweep_takes_what_is_old_and_keeps_the_cursor
            ];
            gallery: [
                a_picture_is_added_once_and_told,
                a_picture_is_ones_own_and_there_are_so_many,
                pictures_are_changed_moved_and_removed,
                a_picture_is_seen_by_those_who_see_its_character,
                pictures_of_what_was_taken_down_are_seen_by_those_who_talk_with_it,
                faces_of_a_private_character_are_seen_by_those_who_talk_with_it,
                what_a_gallery_shows_is_no_orphan_until_its_character_is_gone,
                a_picture_is_shown_when_it_is_ready_and_gone_when_it_failed,
                an_erased_accounts_pictures_are_gone_from_galleries
            ];
            importing: [
                an_imported_conversation_is_there_as_it_was,
                an_imported_conversation_counts_nowhere_and_goes_on,
                what_is_not_stored_whole_is_not_stored,
                a_branch_knows_what_was_imported,
                a_long_conversation_is_imported
            ];
            reports: [
                what_people_did_is_counted_in_its_stretch_of_time,
                changes_of_a_tier_are_counted_once_each,
                samples_add_up_and_count_once,
                tokens_of_days_add_up_by_model,
                a_report_is_replaced_and_read_in_order,
                a_sweep_takes_more_than_a_portion_and_keeps_days
            ];
            revisions: [
                a_reply_is_answered_anew_as_a_variant,
                an_answer_anew_waits_in_line_like_any_message,
                an_answer_anew_that_comes_to_nothing_leaves_what_was,
                an_answer_anew_is_stored_once_under_its_fence,
                a_chosen_variant_is_what_the_model_reads,
                only_the_end_of_a_conversation_is_changed,
                a_reply_has_so_many_variants_at_the_most,
                an_edit_makes_room_among_twenty_variants,
                a_reply_goes_on_in_its_chosen_variant,
                an_edited_message_is_answered_anew,
                a_reply_says_what_it_is_told_to,
                a_reply_that_was_revised_makes_a_window_stale,
                what_says_something_else_by_now_is_not_written_over,
                variants_of_what_was_answered_to_an_erased_account_are_gone
            ];
            roster: [
                accounts_are_found_by_what_names_them,
                accounts_come_in_pages,
                suspended_accounts_are_told_apart
            ];
            rooms: [
                a_link_lets_people_in_until_it_is_over,
                a_link_is_used_exactly_as_often_as_it_may,
                a_conversation_has_so_many_people_and_links,
                whom_the_owner_took_out_comes_in_by_a_newer_link_alone,
                a_block_or_a_suspension_closes_a_link_to_who_is_not_in,
                people_are_listed_with_their_roles,
                a_guest_stops_what_is_theirs_alone,
                links_go_with_their_conversation_and_uses_with_their_person
            ];
            threads: [
                the_last_exchange_is_removed_and_seq_goes_on_without_a_gap,
                only_the_last_message_of_a_person_is_removed,
                what_loses_its_reply_with_a_later_message_can_be_asked_again,
                nobody_takes_a_reply_to_others_away,
                branches_make_nothing_more_popular_and_are_said_once,
                a_branch_has_copies_up_to_its_message,
                a_branch_is_its_makers_alone,
                a_deleted_conversation_is_gone_from_everything,
                a_deletion_is_taken_back_by_its_owner,
                what_was_deleted_long_ago_is_purged,
                a_mark_of_what_was_read_only_moves_forward
            ];
            safety: [
                people_are_blocked_and_heard_of_again,
                somebody_blocks_so_many,
                a_blocked_person_brings_nobody_in,
                characters_of_the_blocked_and_the_suspended_are_in_no_list,
                characters_of_a_closed_account_are_in_no_list_until_it_is_had_back,
                an_unlisted_character_is_its_owners_alone_in_lists,
                whom_somebody_talks_with_is_known,
                the_suspended_are_signed_out_until_their_time_is_over,
                what_the_suspended_wait_for_is_cancelled,
                what_the_suspended_send_late_is_not_taken_in,
                the_last_admin_is_not_suspended,
                two_admins_do_not_shut_each_other_out,
                a_report_keeps_what_it_was_of,
                the_same_report_is_filed_once_while_it_is_open,
                somebody_reports_so_much_in_a_day,
                reports_come_in_pages_the_last_first,
                old_closed_reports_are_swept,
                the_audit_says_who_did_what,
                an_erased_account_is_forgotten_in_reports_and_the_audit
            ];
            uploads: [
                an_upload_is_made_once_and_due,
                one_living_server_processes_an_upload,
                a_claim_that_was_lost_ends_nothing,
                an_ended_upload_says_what_was_found,
                an_upload_is_seen_by_its_owner_and_by_members_of_its_conversation,
                a_portrait_of_its_owners_is_seen_by_everyone,
                what_is_shown_is_not_deleted,
                orphans_are_old_and_shown_nowhere,
                what_is_left_over_is_counted_and_what_has_no_row_is_named,
                an_erased_accounts_uploads_are_deleted,
                parts_are_added_in_order_and_once,
                a_user_sends_so_many_in_parts_at_a_time,
                parts_that_nobody_goes_on_with_expire,
                a_secret_is_the_same_for_every_server
            ];
        }
    };
    (@tests $fixture:expr; $($theme:ident: [$($promise:ident),+ $(,)?];)+) => {
        $(mod $theme {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    $crate::conformance::$theme::$promise($crate::conformance::World::new($fixture).await).await;
                }
            )+
        })+
    };
}
