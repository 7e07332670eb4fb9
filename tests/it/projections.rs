//! The read models agree with the log, are found out when they do not, and can be made anew.

use std::time::Duration;

use auth_agent::{
    edge::Clock,
    store::{
        StoreError,
        maintenance::{check, rebuild},
    },
};

use crate::{
    log::node::Place,
    support::{Backend, on_both_databases},
};

/// Some streams, and nobody who has the database open.
async fn filled(env: crate::support::Env) -> Place {
    let place = Place::new(env).await;
    let node = place.node().await;
    let client = node.client(None).await.unwrap();
    for _ in 0..20 {
        node.request(client, 1).await.unwrap();
    }
    node.stop().await;
    place
}

async fn differences(place: &Place) -> Vec<String> {
    let report = check(&place.url()).await.expect("the check runs");
    assert_eq!(report.differences, report.told.len() as u64);
    report.told
}

/// The checkpoints of the inline projections.
const PROJECTED: &str = "name in ('requests', 'agents', 'clients', 'owners', 'keys')";

on_both_databases! {
    async fn check_finds_nothing_where_nothing_is_wrong(env: Env) {
        let place = filled(env).await;
        let report = check(&place.url()).await.unwrap();
        assert_eq!((report.position, report.events, report.streams), (21, 21, 21));
        assert_eq!(differences(&place).await, [""; 0]);
    }

    async fn check_finds_a_row_that_was_changed_removed_or_added_and_rebuild_repairs_it(env: Env) {
        let one = "(select min(id) from requests)";
        for (damage, found) in [
            (format!("update requests set state = replace(state, 'openid', 'admin') where id = {one}"), "differs"),
            (format!("update requests set version = 7 where id = {one}"), "differs"),
            (format!("update requests set agent_id = 'agent_x' where id = {one}"), "differs"),
            ("update clients set state = replace(state, 'profilio', 'evil')".to_owned(), "differs"),
            (format!("delete from requests where id = {one}"), "no row"),
            ("update statistics set value = 7 where name = 'sign_ins'".to_owned(), "7 sign-ins are counted"),
            (format!("update checkpoints set position = 99 where {PROJECTED}"), "of position 99"),
            ("insert into requests values ('req_x', 1, 1, 'client_x', null, null, '{}')".to_owned(), "stored where"),
        ] {
            let place = filled(env).await;
            place.sql(&damage).await;
            let told = differences(&place).await;
            assert!(told.iter().any(|line| line.contains(found)), "{damage}: {told:?}");
            rebuild(&place.url()).await.unwrap();
            assert_eq!(differences(&place).await, [""; 0], "{damage}");
        }
    }

    async fn check_finds_an_event_that_was_tampered_with_or_removed(env: Env) {
        for (damage, found) in [
            ("update events set body = replace(body, 'openid', 'OPENID') where position = 5", "hash"),
            ("update events set leaf_hash = 'x' where position = 5", "hash"),
            ("update events set type = 'Revoked' where position = 5", "column differs"),
            ("update events set occurred_at = 1 where position = 5", "column differs"),
            ("update events set body = 'x' where position = 5", "event 5"),
            ("delete from events where position = 5", "holds 20 events"),
        ] {
            let place = filled(env).await;
            place.sql(damage).await;
            let told = differences(&place).await;
            assert!(told.iter().any(|line| line.contains(found)), "{damage}: {told:?}");
        }
    }

    async fn a_writer_first_applies_what_lies_beyond_the_checkpoint(env: Env) {
        let place = filled(env).await;
        // As if a version of the program that does not project had appended the last fifteen.
        place.sql(&format!(
            "delete from requests where position > 6;
             update checkpoints set position = 6 where {PROJECTED}"
        )).await;
        assert_eq!(differences(&place).await.len(), 17);
        let node = place.node().await;
        assert_eq!(differences(&place).await, [""; 0]);
        let count = place.sql("select count(*) from requests").await;
        assert_eq!(count, ["20"]);
        node.stop().await;

        // One projection alone, as if the other version had not known it.
        place.sql(
            "delete from clients; update checkpoints set position = 0 where name = 'clients'"
        ).await;
        let node = place.node().await;
        assert_eq!(differences(&place).await, [""; 0]);
        node.stop().await;

        // And everything, from nothing.
        place.sql(&format!(
            "delete from requests; delete from clients;
             update checkpoints set position = 0 where {PROJECTED}"
        )).await;
        let node = place.node().await;
        assert_eq!(differences(&place).await, [""; 0]);
        node.stop().await;
    }
    async fn a_gap_of_any_size_is_closed_while_running(env: Env) {
        let place = Place::new(env).await;
        let node = place.node().await;
        let client = node.client(None).await.unwrap();
        let requests = (0..2_500).map(|_| node.request(client, 1));
        for request in futures_util::future::join_all(requests).await {
            request.unwrap();
        }
        place.sql(&format!(
            "delete from requests; update checkpoints set position = 1 where {PROJECTED}"
        )).await;
        node.request(client, 1).await.unwrap();
        assert_eq!(differences(&place).await, [""; 0]);
        node.stop().await;
    }

    async fn nothing_is_rebuilt_from_a_log_that_cannot_be_read_whole(env: Env) {
        for damage in [
            // As a newer version of the program would write it.
            "update events set type = 'Blessed', body = replace(body, '\"type\":\"Created\"', '\"type\":\"Blessed\"') where position = 5",
            "delete from events where position = 5",
            "update events set leaf_hash = 'x' where position = 5",
        ] {
            let place = filled(env).await;
            place.sql(damage).await;
            let before = place.sql("select id || state from requests order by id").await;
            let report = rebuild(&place.url()).await.unwrap();
            assert!(report.differences > 0, "{damage}");
            let after = place.sql("select id || state from requests order by id").await;
            assert_eq!(before, after, "{damage}");
        }
    }

    async fn neither_check_nor_rebuild_touches_a_newer_database(env: Env) {
        let place = filled(env).await;
        let checksum = if env.backend == Backend::Sqlite { "x''" } else { "''" };
        place.sql(&format!(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'of a newer version', true, {checksum}, 0)"
        )).await;
        for done in [check(&place.url()).await, rebuild(&place.url()).await] {
            assert!(
                matches!(done, Err(StoreError::NewerDatabase { version: 9999 })),
                "{done:?}"
            );
        }
    }

    async fn what_was_kept_for_a_request_goes_after_it(env: Env) {
        let place = Place::new(env).await;
        let node = place.node().await;
        let client = node.client(None).await.unwrap();
        let kept = "select (select count(*) from request_details) + (select count(*) from claims)";
        for number in 0..3 {
            node.claiming_request(client, &format!("reload/{number}")).await.unwrap();
        }
        let second = node.claiming_request(client, "reload/0").await;
        assert!(matches!(second, Err(StoreError::Claimed { .. })), "{second:?}");
        let now = Clock.now();
        let hour = Duration::from_secs(3600);
        node.store.sweep(now, now).await.unwrap();
        assert_eq!(place.sql(kept).await, ["6"], "they have not ended");
        node.store.sweep(now + hour, now).await.unwrap();
        assert_eq!(place.sql(kept).await, ["0"]);
        assert_eq!(differences(&place).await, [""; 0], "the log and its projections stay");
        node.stop().await;
    }
}
