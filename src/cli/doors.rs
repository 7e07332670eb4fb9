//! Where a website listens, the demo's or one in a website's place: on both loopback addresses, as a browser may take `localhost` for
//! either.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use axum::Router;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::Failure;

/// How long answers may take once the website is to stop.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

/// The listeners, all on one port.
pub(crate) struct Doors {
    port: u16,
    listeners: Vec<TcpListener>,
}

impl Doors {
    /// Listens on the port named, or on the first from `first` on that is free, trying so many.
    pub(crate) async fn open(named: Option<u16>, first: u16, tries: u16) -> Result<Self, Failure> {
        let (first, tries) = named.map_or((first, tries), |port| (port, 1));
        let mut tried = first;
        loop {
            match Self::on(tried).await {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse && tried - first + 1 < tries =>
                {
                    tried += 1;
                }
                Ok(doors) => return Ok(doors),
                Err(error) => {
                    let told = format!("the website cannot listen on port {tried}: {error}");
                    return Err(Failure::usage(told));
                }
            }
        }
    }

    async fn on(port: u16) -> io::Result<Self> {
        let v4 = TcpListener::bind((IpAddr::from(Ipv4Addr::LOCALHOST), port)).await?;
        let port = v4.local_addr()?.port();
        let mut listeners = vec![v4];
        match TcpListener::bind((IpAddr::from(Ipv6Addr::LOCALHOST), port)).await {
            Ok(v6) => listeners.push(v6),
            // Somebody else's: a browser might show that instead of this website.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            // No IPv6 here: then no browser uses it either.
            Err(_) => {}
        }
        Ok(Self { port, listeners })
    }

    /// The website's origin, under the loopback name that the server does not use.
    pub(crate) fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Lets visitors in.
    pub(crate) fn serve(self, router: &Router) -> Serving {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            let serve = axum::serve(listener, router.clone())
                .with_graceful_shutdown(stop.clone().cancelled_owned());
            tasks.spawn(async move {
                if let Err(error) = serve.await {
                    tracing::error!(%error, "the website failed");
                }
            });
        }
        Serving { stop, tasks }
    }
}

/// A website that is open.
pub(crate) struct Serving {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Serving {
    /// Closes.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // Browsers keep connections open; nothing is lost by cutting them off.
        let _ = tokio::time::timeout(STOPS_WITHIN, all).await;
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_passed_over_unless_it_was_asked_for() {
        let taken = Doors::open(Some(0), 0, 1).await.unwrap();
        let next = Doors::open(None, taken.port, 100).await.unwrap();
        assert_ne!(next.port, taken.port);
        let told = Doors::open(Some(taken.port), 0, 1).await.err().unwrap();
        assert!(told.message().contains("cannot listen"), "{told:?}");
    }
}
