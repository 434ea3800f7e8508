//! One connection, from its TLS handshake to its end.

use std::{convert::Infallible, io, pin::pin, sync::Arc};

use http_body_util::combinators::BoxBody;
use hyper::{
    Request, Response, Version,
    body::{Body as _, Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{rt::TokioIo, server::conn::auto};
use poem::{
    Body, Endpoint, RequestParts,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::sync::watch;

use super::{
    Limits, Listener,
    answer::Answer,
    closing::GOODBYE,
    listener::{Accepted, Stream},
    paced::Paced,
    streams::Streams,
    watched::{Activity, InFlight, Late},
};

/// How much of an HTTP/1.1 request's head is read before it is answered 431, and what is
/// buffered of bodies.
const BUFFER: usize = 64 * 1024;
/// The same of an HTTP/2 request's fields.
const HEADER_LIST: u32 = 16 * 1024;
/// How many requests an HTTP/2 client may have in flight.
const STREAMS: u32 = 200;

/// What all connections share.
pub(super) struct Server<E> {
    endpoint: E,
    http: auto::Builder<Streams>,
    limits: Limits,
    address: LocalAddr,
    scheme: Scheme,
}

impl<E: Endpoint + 'static> Server<E> {
    pub fn new(endpoint: E, listener: &Listener, limits: Limits) -> Arc<Self> {
        let mut http = auto::Builder::new(Streams { write: limits.write });
        // hyper's own limit on heads runs between requests as well; ours don't.
        http.http1().header_read_timeout(None).max_buf_size(BUFFER);
        http.http2()
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADER_LIST)
            .max_send_buf_size(BUFFER);
        let (address, scheme) = (listener.address.clone(), listener.scheme());
        Arc::new(Self { endpoint, http, limits, address, scheme })
    }

    /// Serves a client until it goes, is too slow, or has been answered after `stop`.
    pub async fn serve(self: Arc<Self>, client: Accepted, mut stop: watch::Receiver<bool>) {
        let (activity, remote) = (Activity::new(), client.remote.clone());
        let stream = tokio::select! {
            stream = client.stream(&activity, self.limits.read) => stream,
            late = activity.late(&self.limits) => Err(timed_out(late)),
            _ = stop.wait_for(|stopped| *stopped) => return,
        };
        let ended = match stream {
            Ok(stream) => self.speak(stream, &remote, &activity, stop).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = ended {
            tracing::debug!("the connection of {remote} was closed: {error}");
        }
    }

    async fn speak(
        self: &Arc<Self>,
        stream: Box<dyn Stream>,
        remote: &RemoteAddr,
        activity: &Arc<Activity>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        activity.secured();
        let service = service_fn(|request: Request<Incoming>| {
            let in_flight = activity.begin(request.version() == Version::HTTP_2);
            self.clone().answer(request, remote.clone(), in_flight)
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        let (mut limits, mut is_ending) = (self.limits, false);
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return ended,
                late = activity.late(&limits) => {
                    if is_ending || late != Late::Idle {
                        return Err(timed_out(late).into());
                    }
                }
                _ = stop.wait_for(|stopped| *stopped), if !is_ending => {}
            }
            // What is in flight is finished, and the client is told to ask for nothing more.
            is_ending = true;
            limits.idle = GOODBYE;
            activity.is_ending();
            connection.as_mut().graceful_shutdown();
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        remote: RemoteAddr,
        in_flight: InFlight,
    ) -> Result<Response<Answer<BoxBody<Bytes, io::Error>>>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = if body.is_end_stream() {
            Body::empty()
        } else {
            BoxBody::new(Paced::new(body, self.limits.read)).into()
        };
        let parts = RequestParts::from((parts, self.address.clone(), remote, self.scheme.clone()));
        // A connection keeps room for this future while it is idle: the endpoint's is too large.
        let answer = Box::pin(self.endpoint.get_response(poem::Request::from_parts(parts, body)));
        Ok(Response::from(answer.await).map(|body| Answer::new(body, in_flight)))
    }
}

fn timed_out(late: Late) -> io::Error {
    let what = match late {
        Late::Head => "no whole request came in time",
        Late::Idle => "nothing was asked for",
        Late::Write => "nothing of the answer was taken",
    };
    io::Error::new(io::ErrorKind::TimedOut, what)
}
