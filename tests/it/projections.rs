//! The read models agree with the log, are found out when they do not, and can be made anew.

use auth_agent::store::maintenance::{check, rebuild};

use crate::{log::Place, support::on_both_databases};

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
        place.sql(
            "delete from requests where position > 6;
             update checkpoints set position = 6 where name in ('requests', 'agents', 'clients', 'owners')"
        ).await;
        assert_eq!(differences(&place).await.len(), 16);
        let node = place.node().await;
        assert_eq!(differences(&place).await, [""; 0]);
        let count = place.sql("select count(*) from requests").await;
        assert_eq!(count, ["20"]);
        node.stop().await;

        // And everything, from nothing.
        place.sql(
            "delete from requests; delete from clients;
             update checkpoints set position = 0 where name in ('requests', 'agents', 'clients', 'owners')"
        ).await;
        let node = place.node().await;
        assert_eq!(differences(&place).await, [""; 0]);
        node.stop().await;
    }
}
