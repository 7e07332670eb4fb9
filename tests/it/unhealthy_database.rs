//! A database that fails on purpose: answers that get lost, a network that goes silent, sessions
//! that are ended, a lock that somebody holds. Nothing is answered that did not happen, nothing that
//! happened is called lost, and everything goes on once the database does.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use auth_agent::store::StoreError;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    log::node::Place,
    support::{
        Backend, Env,
        process::{eventually, locked},
    },
};

/// What happens to what the database says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It gets through.
    Pass,
    /// The answer to the next COMMIT is lost, and the connection with it.
    LoseCommit,
    /// Nothing gets through in either direction, and no connection ends.
    Silent,
    /// Nobody is there: connections end, and none is made.
    Gone,
}

/// A way to the database that can be broken.
pub(crate) struct Proxy {
    pub(crate) url: String,
    mode: Arc<Mutex<Mode>>,
    /// Connections are told apart by how often this was raised before they were made.
    age: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn before(url: &str) -> Self {
        let (rest, address) = url.rsplit_once('@').expect("user and password");
        let (target, database) = address.split_once('/').expect("a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(Mutex::new(Mode::Pass));
        let age = Arc::new(AtomicUsize::new(0));
        let (target, shared) = (target.to_owned(), Arc::clone(&mode));
        let ages = Arc::clone(&age);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (target, mode) = (target.clone(), Arc::clone(&shared));
                let (ages, born) = (Arc::clone(&ages), ages.load(Ordering::SeqCst));
                tokio::spawn(async move {
                    if *locked(&mode) == Mode::Gone {
                        return;
                    }
                    if let Ok(server) = TcpStream::connect(&target).await {
                        tokio::select! {
                            () = forward(client, server, &mode, || ages.load(Ordering::SeqCst) > born) => {}
                            () = while_not_gone(&mode) => {}
                        }
                    }
                });
            }
        });
        Self {
            url: format!("{rest}@127.0.0.1:{port}/{database}"),
            mode,
            age,
        }
    }

    /// The connections that there are say nothing any more, and do not end; others are as the mode is.
    pub(crate) fn silence_those_that_there_are(&self) {
        self.age.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, mode: Mode) {
        *locked(&self.mode) = mode;
    }

    fn is(&self, mode: Mode) -> bool {
        *locked(&self.mode) == mode
    }
}

async fn forward(
    mut client: TcpStream,
    mut server: TcpStream,
    mode: &Mutex<Mode>,
    is_silenced: impl Fn() -> bool,
) {
    let (mut asked, mut told) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                held_while_silent(mode, &is_silenced).await;
                if server.write_all(&asked[..read]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut told) => {
                let Ok(read @ 1..) = read else { return };
                held_while_silent(mode, &is_silenced).await;
                let told = &told[..read];
                if told.windows(7).any(|bytes| bytes == b"COMMIT\0") {
                    let mut mode = locked(mode);
                    if *mode == Mode::LoseCommit {
                        *mode = Mode::Pass;
                        return;
                    }
                }
                if client.write_all(told).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn while_not_gone(mode: &Mutex<Mode>) {
    while *locked(mode) != Mode::Gone {
        tokio::time::sleep(crate::support::process::PAUSE).await;
    }
}

async fn held_while_silent(mode: &Mutex<Mode>, is_silenced: impl Fn() -> bool) {
    while *locked(mode) == Mode::Silent || is_silenced() {
        tokio::time::sleep(crate::support::process::PAUSE).await;
    }
}

async fn postgres() -> Place {
    Place::new(Env {
        backend: Backend::Postgres,
    })
    .await
}

async fn events(place: &Place) -> usize {
    let count = place.sql("select count(*) from events").await;
    count[0].parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_found_out_before_anyone_is_told() {
    let place = postgres().await;
    let proxy = Proxy::before(&place.url()).await;
    let node = place.node_by(&proxy.url).await;
    let client = node.client(None).await.unwrap();
    let before = events(&place).await;
    for lost in 1..=5 {
        proxy.set(Mode::LoseCommit);
        let request = node.request(client, 1).await;
        assert!(proxy.is(Mode::Pass), "no commit was lost");
        assert!(request.is_ok(), "it was committed: {request:?}");
        assert_eq!(events(&place).await, before + lost, "and once");
    }
    // Refusals of the same batch stand as well.
    proxy.set(Mode::LoseCommit);
    let (refused, done) = tokio::join!(node.request(client, 9), node.request(client, 1));
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert!(done.is_ok(), "{done:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_goes_silent_is_noticed_and_recovered_from() {
    let place = postgres().await;
    let proxy = Proxy::before(&place.url()).await;
    let node = place.node_by(&proxy.url).await;
    let client = node.client(None).await.unwrap();
    let before = events(&place).await;
    proxy.set(Mode::Silent);
    let unanswered = node.request(client, 1).await;
    assert!(
        matches!(unanswered, Err(StoreError::Unavailable(_))),
        "{unanswered:?}"
    );
    proxy.set(Mode::Pass);
    eventually("the database is reached again", async || {
        node.request(client, 1).await.ok()
    })
    .await;
    assert_eq!(
        events(&place).await,
        before + 1,
        "what was refused is not there"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_whose_connections_went_silent_make_room_for_others() {
    /// More than there are readers.
    const MANY: usize = 40;
    let place = postgres().await;
    let proxy = Proxy::before(&place.url()).await;
    let node = place.node_by(&proxy.url).await;
    for callers_stay in [true, false] {
        proxy.set(Mode::Silent);
        let read = |_| {
            let store = Arc::clone(&node.store);
            tokio::spawn(async move { store.statistics().await.map(drop) })
        };
        let reads: Vec<_> = (0..MANY).map(read).collect();
        // Some read by then, some wait for a reader.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        proxy.silence_those_that_there_are();
        proxy.set(Mode::Pass);
        for read in reads {
            if callers_stay {
                let told = read.await.unwrap();
                assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
            } else {
                read.abort();
            }
        }
        let again = futures_util::future::join_all((0..MANY).map(read)).await;
        for told in again {
            told.unwrap().unwrap();
        }
        eventually("it is ready", async || node.store.ready().await.ok()).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_were_ended_are_replaced() {
    let place = postgres().await;
    let node = place.node().await;
    let client = node.client(None).await.unwrap();
    for _ in 0..3 {
        place
            .sql(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()",
            )
            .await;
        // A dead connection is found out by using it; the command itself does not fail for it.
        node.request(client, 1).await.unwrap();
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_holds_the_lock_and_stalls_does_not_hold_the_cluster() {
    let place = postgres().await;
    let node = place.node().await;
    let client = node.client(None).await.unwrap();
    // Somebody with the writers' lock, and without their time limits.
    let holder = {
        let url = place.url();
        tokio::spawn(async move {
            use sqlx::{Connection, Executor};
            let mut session = sqlx::PgConnection::connect(&url).await.unwrap();
            session.execute("begin").await.unwrap();
            let lock = "select pg_advisory_xact_lock(7022647185613745780)";
            session.execute(lock).await.unwrap();
            session
        })
    };
    let session = holder.await.unwrap();
    let refused = node.request(client, 1).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "callers are told, they do not hang: {refused:?}"
    );
    drop(session);
    eventually("the lock is free again", async || {
        node.request(client, 1).await.ok()
    })
    .await;
    node.stop().await;
}
