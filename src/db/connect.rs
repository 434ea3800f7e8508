//! Opening one connection: the address, TLS, limits, and the task that moves its bytes.

use std::{net::IpAddr, sync::OnceLock, time::Duration};

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::task::AbortHandle;
use tokio_postgres::{
    AsyncMessage, Client, NoTls,
    config::{Host, SslMode},
};

use crate::telemetry::Chain;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// The task that moves a connection's bytes. Dropping it closes the connection at once, whatever
/// the server still does for it.
#[must_use]
pub(super) struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens one connection: as the URL's `sslmode` says, `prefer` by default; without TLS to this
/// machine. When `end` is done, it is closed, and the statements that wait on it fail.
///
/// # Errors
/// When the server refuses, or doesn't answer in time.
pub(super) async fn connect(
    url: &str,
    statement_timeout: Option<Duration>,
    end: impl Future<Output = ()> + Send + 'static,
) -> ConnectionResult<(AsyncPgConnection, Driver)> {
    connect_and_hear(url, statement_timeout, end, |_| {}).await
}

/// The same; `hear` is called with what the server says without being asked.
pub(super) async fn connect_and_hear(
    url: &str,
    statement_timeout: Option<Duration>,
    end: impl Future<Output = ()> + Send + 'static,
    mut hear: impl FnMut(AsyncMessage) + Send + 'static,
) -> ConnectionResult<(AsyncPgConnection, Driver)> {
    let connecting = async {
        let (client, mut messages) = open(url, statement_timeout)
            .await
            .map_err(|error| ConnectionError::BadConnection(Chain(&error).to_string()))?;
        let task = tokio::spawn(async move {
            let moving = async {
                while let Some(message) = messages.next().await {
                    match message {
                        Ok(message) => hear(message),
                        Err(error) => {
                            let error = Chain(&error);
                            tracing::debug!("a connection to the database has ended: {error}");
                            // It would say so for ever.
                            return;
                        }
                    }
                }
            };
            tokio::select! {
                () = moving => {}
                () = end => {}
            }
        });
        let driver = Driver(task.abort_handle());
        Ok((AsyncPgConnection::try_from(client).await?, driver))
    };
    tokio::time::timeout(CONNECT_LIMIT, connecting).await.unwrap_or_else(|_| {
        Err(ConnectionError::BadConnection(format!("no answer within {CONNECT_LIMIT:?}")))
    })
}

type Messages = BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>;

/// A client, and what moves its bytes: the stream of what the server says without being asked.
async fn open(
    url: &str,
    statement_timeout: Option<Duration>,
) -> Result<(Client, Messages), tokio_postgres::Error> {
    let mut config = parse_url(url)?;
    config
        .connect_timeout(CONNECT_LIMIT)
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives_idle(Duration::from_secs(15))
        .application_name("twofold");
    if let Some(limit) = statement_timeout {
        let (statement, idle) = (limit.as_millis(), limit.as_millis() * 2);
        let own = config.get_options().unwrap_or_default().to_owned();
        config.options(format!(
            "{own} -c statement_timeout={statement} -c idle_in_transaction_session_timeout={idle}"
        ));
    }
    if config.get_ssl_mode() == SslMode::Disable {
        let (client, mut connection) = config.connect(NoTls).await?;
        Ok((client, stream::poll_fn(move |cx| connection.poll_message(cx)).boxed()))
    } else {
        let tls = tokio_postgres_rustls::MakeRustlsConnect::new(tls_config());
        let (client, mut connection) = config.connect(tls).await?;
        Ok((client, stream::poll_fn(move |cx| connection.poll_message(cx)).boxed()))
    }
}

/// Whether a text is the address of a database: `postgresql://…`, or libpq's `host=…` form.
#[must_use]
pub fn is_url(text: &str) -> bool {
    parse_url(text).is_ok_and(|config| !config.get_hosts().is_empty())
}

/// tokio-postgres knows no `verify-full`; rustls verifies fully in any case.
fn parse_url(url: &str) -> Result<tokio_postgres::Config, tokio_postgres::Error> {
    let url = url
        .replace("sslmode=verify-full", "sslmode=require")
        .replace("sslmode=verify-ca", "sslmode=require");
    let mut config: tokio_postgres::Config = url.parse()?;
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    // Packages bring servers with self-made certificates, which rustls would refuse.
    if config.get_ssl_mode() == SslMode::Prefer && config.get_hosts().iter().all(is_local) {
        config.ssl_mode(SslMode::Disable);
    }
    Ok(config)
}

fn tls_config() -> rustls::ClientConfig {
    static CONFIG: OnceLock<rustls::ClientConfig> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            // The only provider that is compiled in; a second call changes nothing.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut roots = rustls::RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
        })
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssl_modes_follow_the_url_and_the_host() {
        let mode = |url| parse_url(url).expect("valid").get_ssl_mode();
        assert_eq!(mode("postgresql://u@localhost/d"), SslMode::Disable);
        assert_eq!(mode("postgresql://u@127.0.0.1/d?sslmode=require"), SslMode::Require);
        assert_eq!(mode("host='/run/with space' user=u dbname=d"), SslMode::Disable);
        assert_eq!(mode("postgresql://u@db.example.com/d"), SslMode::Prefer);
        assert_eq!(mode("postgresql://u@db.example.com/d?sslmode=verify-full"), SslMode::Require);
    }
}
