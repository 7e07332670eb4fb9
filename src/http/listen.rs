//! The listener: accepts connections, whatever happens to one of them, and bounds what each may send.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    conduct::Overdue,
    connection::{End, Shared, serve},
    measures::Connections,
    room::{Place, Room},
};
use crate::config::Timeouts;

/// How long requests in flight may take once the server is to stop.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// Bytes of a request's head at most; beyond it 431. hyper takes at most 100 headers in them.
const MAX_HEAD: usize = 32 * 1024;
/// Requests that one HTTP/2 connection may have in flight.
const MAX_STREAMS: u32 = 128;
/// What an HTTP/2 stream holds for a client that does not read.
const MAX_SEND_BUFFER: usize = 32 * 1024;
/// How often an HTTP/2 connection is pinged, and how long the answer may take: a connection that is
/// gone without a word is found so.
const PING: Duration = Duration::from_secs(20);
/// How long nobody is accepted when accepting fails: for want of descriptors, mostly.
const PAUSE: Duration = Duration::from_secs(1);

/// What every connection of a listener shares.
pub(super) struct Listening {
    pub(super) builder: Builder<TokioExecutor>,
    pub(super) router: Router,
    pub(super) timeouts: Timeouts,
    pub(super) measures: Arc<Connections>,
    pub(super) stop: CancellationToken,
    room: Arc<Room>,
}

impl Listening {
    pub(super) fn new(
        router: Router,
        timeouts: Timeouts,
        measures: Arc<Connections>,
        stop: CancellationToken,
        most: usize,
    ) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            // The head's own timeout is kept here: hyper's would run on idle connections too.
            .header_read_timeout(None)
            // Also what is held for a client that does not read.
            .max_buf_size(MAX_HEAD)
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEAD as u32)
            .max_concurrent_streams(MAX_STREAMS)
            .max_send_buf_size(MAX_SEND_BUFFER)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        Self {
            builder,
            router,
            timeouts,
            measures,
            stop,
            room: Room::new(most),
        }
    }

    /// Accepts until it is told to stop, and then waits for what is in flight.
    pub(super) async fn run(self, listener: TcpListener) {
        let listening = Arc::new(self);
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = listening.stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let shared = Shared::new();
                    let Some(place) = listening.room.take(&shared) else {
                        listening.measures.turned_away.inc();
                        continue;
                    };
                    connections.spawn(Arc::clone(&listening).served(stream, peer, shared, place));
                }
                // One that was gone before it was accepted.
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted: trying again in a second");
                    tokio::select! {
                        () = listening.stop.cancelled() => break,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }

    async fn served(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        shared: Shared,
        _place: Place,
    ) {
        // Small answers, each waited for: none may wait for the next to fill a packet.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let _open = self.measures.opened();
        match serve(stream, peer, &self, shared).await {
            End::Closed => {}
            End::Overdue(why) => {
                tracing::debug!(?why, "a connection took too long");
                let counter = match why {
                    Overdue::Head => &self.measures.slow_heads,
                    Overdue::Idle => &self.measures.idle,
                    Overdue::Unread => &self.measures.unread,
                };
                counter.inc();
            }
            End::MadeWay => {
                self.measures.made_way.inc();
            }
            End::CutOff => tracing::warn!("a request took too long and was cut off"),
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
