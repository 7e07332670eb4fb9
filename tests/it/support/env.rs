//! One test, two databases.

use super::{
    api::Api,
    ledger,
    server::{Backend, Options, TestServer},
};

/// What a test that runs on both databases is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Env {
    /// Where the log is kept this time.
    pub(crate) backend: Backend,
}

impl Env {
    /// The server that tests without special settings share.
    pub(crate) async fn server(&self) -> &'static TestServer {
        TestServer::shared(self.backend).await
    }

    /// After a test: nothing that any test has held stands in what the shared server wrote.
    pub(crate) async fn assert_nothing_leaked(&self) {
        if let Some(server) = TestServer::shared_if_started(self.backend) {
            server.assert_nothing_leaked();
            let call = server.api().get("/metrics").bearer_auth(server.admin_key());
            let metrics = server.api().send(call).await;
            ledger::assert_none_in("the metrics", &metrics.text);
        }
    }

    /// A client of the shared server.
    pub(crate) async fn api(&self) -> Api {
        self.server().await.api()
    }

    /// A server of the test's own.
    pub(crate) async fn start(&self, set: impl FnOnce(&mut Options)) -> TestServer {
        TestServer::start(self.backend, set).await
    }
}

/// Makes of each `async fn name(env: Env) { … }` the two tests `name::sqlite` and `name::postgres`.
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* async fn $name:ident($env:ident: Env) $body:block)+) => {$(
        $(#[$attribute])*
        mod $name {
            use super::*;

            async fn run($env: $crate::support::Env) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let env = $crate::support::Env { backend: $crate::support::Backend::Sqlite };
                run(env).await;
                env.assert_nothing_leaked().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let env = $crate::support::Env { backend: $crate::support::Backend::Postgres };
                run(env).await;
                env.assert_nothing_leaked().await;
            }
        }
    )+};
}
pub(crate) use on_both_databases;
