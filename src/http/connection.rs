//! One connection, from when it was accepted to its end: within its timeouts, and on shutdown only for
//! as long as something is owed to the other side.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use axum::{body::Body, extract::ConnectInfo};
use http::{Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tower::Service as _;

use super::{
    conduct::{Conduct, Overdue},
    extract::BodyTimeout,
    listen::{GRACE, Listening},
};

/// A connection's conduct, as its transport, its requests and its task share it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<(Conduct, Option<Waker>)>>);

impl Shared {
    /// Of a connection that was just made.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new((Conduct::new(Instant::now()), None))))
    }

    /// Since when nothing is owed to the other side, unless it makes way already.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.lock().0.idle_since()
    }

    /// Closes it, unless something is in flight by the time that it hears of it.
    pub(super) fn make_way(&self) {
        let mut shared = self.lock();
        shared.0.make_way();
        let waker = shared.1.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it was told to make way, and has not heard of it yet.
    pub(super) fn makes_way(&self) -> bool {
        self.lock().0.makes_way()
    }

    #[cfg(test)]
    pub(super) fn asked(&self) {
        self.lock().0.asked(false);
    }

    fn lock(&self) -> MutexGuard<'_, (Conduct, Option<Waker>)> {
        // Every change is one assignment: there is nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owes_nothing(&self) -> bool {
        self.lock().0.owes_nothing()
    }
}

/// A request whose answer is not handed over yet.
struct InFlight {
    shared: Shared,
    by_http2: bool,
    /// Whether something of the answer is ready that the other side's window does not let out. Of
    /// HTTP/1 the transport tells.
    is_offered: bool,
}

impl InFlight {
    /// The head is on its way, and a body behind it.
    fn head(&mut self) {
        if self.by_http2 {
            self.shared.lock().0.offered(Instant::now());
            self.is_offered = true;
        }
    }

    /// The body was asked for its next part, which hyper does when there is room for it.
    fn body(&mut self, is_ready: bool) {
        if !self.by_http2 || !(is_ready || self.is_offered) {
            return;
        }
        let mut shared = self.shared.lock();
        match (self.is_offered, is_ready) {
            (true, true) => shared.0.taken(Instant::now()),
            (false, true) => shared.0.offered(Instant::now()),
            (_, false) => shared.0.offers_nothing(),
        }
        self.is_offered = is_ready;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut shared = self.shared.lock();
        if self.is_offered {
            shared.0.offers_nothing();
        }
        shared.0.answered(Instant::now());
        // Of HTTP/2 the answer is handed over by another task than the connection's.
        let waker = shared.1.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As the other side wanted it, or in good order on shutdown.
    Closed,
    /// It had taken too long.
    Overdue(Overdue),
    /// It made way for another one.
    MadeWay,
    /// Cut off on shutdown, with something owed.
    CutOff,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    by: &Listening,
    shared: Shared,
) -> End {
    let transport = Transport {
        stream,
        is_stalled: false,
        shared: shared.clone(),
    };
    let service = service_fn(|request| answer(request, peer, by, &shared));
    let connection = by
        .builder
        .serve_connection(TokioIo::new(transport), service);
    let mut connection = pin!(connection);
    let mut stop = pin!(by.stop.cancelled());
    let mut timer = pin!(sleep_until(Instant::now()));
    let mut cut_off_at = None;
    let end = poll_fn(|context| {
        if cut_off_at.is_none() && stop.as_mut().poll(context).is_ready() {
            cut_off_at = Some(Instant::now() + GRACE);
            connection.as_mut().graceful_shutdown();
        }
        let owed_nothing = {
            let mut shared = shared.lock();
            shared.1 = Some(context.waker().clone());
            shared.0.owes_nothing()
        };
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Closed);
        }
        if shared.lock().0.gives_way() {
            return Poll::Ready(End::MadeWay);
        }
        // What was handed over before it was polled has been sent by now.
        if cut_off_at.is_some() && owed_nothing && shared.owes_nothing() {
            return Poll::Ready(End::Closed);
        }
        loop {
            let due = shared.lock().0.due(&by.timeouts);
            let due = due.map(|(at, why)| (at, End::Overdue(why)));
            let cut_off = cut_off_at.map(|at| (at, End::CutOff));
            let Some((at, end)) = due.into_iter().chain(cut_off).min_by_key(|due| due.0) else {
                return Poll::Pending;
            };
            if at <= Instant::now() {
                return Poll::Ready(end);
            }
            // A timer that is too early costs one more look; to set it again for each request, more.
            if at < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
    if matches!(end, End::Overdue(Overdue::Idle) | End::MadeWay) {
        // HTTP/2 says goodbye.
        connection.as_mut().graceful_shutdown();
        poll_fn(|context| {
            let _ = connection.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
    }
    end
}

fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    by: &Listening,
    shared: &Shared,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> + Send + 'static + use<> {
    let by_http2 = request.version() == Version::HTTP_2;
    shared.lock().0.asked(by_http2);
    let mut in_flight = InFlight {
        shared: shared.clone(),
        by_http2,
        is_offered: false,
    };
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    if let Some(timeout) = by.timeouts.body
        && !request.body().is_end_stream()
    {
        request.extensions_mut().insert(BodyTimeout(timeout));
    }
    let answered = by.router.clone().call(request);
    let measures = Arc::clone(&by.measures);
    async move {
        let response = answered.await?;
        if response.status() == StatusCode::REQUEST_TIMEOUT {
            measures.slow_bodies.inc();
        }
        in_flight.head();
        Ok(response.map(|body| Answer { body, in_flight }))
    }
}

/// A body that tells how it is taken, and when it has been handed over, by being dropped.
struct Answer {
    body: Body,
    in_flight: InFlight,
}

impl http_body::Body for Answer {
    type Data = <Body as http_body::Body>::Data;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.in_flight.body(frame.is_ready());
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that tells what comes and whether what is written goes.
struct Transport {
    stream: TcpStream,
    is_stalled: bool,
    shared: Shared,
}

impl Transport {
    fn told<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() != self.is_stalled {
            self.is_stalled = written.is_pending();
            let mut shared = self.shared.lock();
            if self.is_stalled {
                shared.0.stalled(Instant::now());
            } else {
                shared.0.flows();
            }
        }
        written
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.shared.lock().0.received(Instant::now);
        }
        read
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.told(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.told(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
