//! A way to PostgreSQL over TCP on which a test can hold or swallow what the server says.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream, tcp::OwnedWriteHalf, unix},
    sync::Notify,
    task::{JoinHandle, JoinSet},
};
use tokio_postgres::config::Host;

/// Forwards until it is dropped.
pub struct PgProxy {
    pub url: String,
    way: Arc<Way>,
    forwarding: JoinHandle<()>,
}

#[derive(Default)]
struct Way {
    /// Notifications don't come through.
    swallows: AtomicBool,
    swallowed: AtomicUsize,
    /// The next row is held.
    holds: AtomicBool,
    held: Notify,
    released: Notify,
}

impl PgProxy {
    /// To the database of this address, which has a socket.
    pub async fn to(url: &str) -> Self {
        let config: tokio_postgres::Config = url.parse().expect("an address");
        let Some(Host::Unix(folder)) = config.get_hosts().first() else { panic!("a socket") };
        let socket = folder.join(".s.PGSQL.5432");
        let (name, user) = (config.get_dbname().expect("named"), config.get_user().expect("named"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let way = Arc::<Way>::default();
        let forwarding = tokio::spawn({
            let way = way.clone();
            async move {
                let mut all = JoinSet::new();
                while let Ok((outside, _)) = listener.accept().await {
                    let inside = UnixStream::connect(&socket).await.expect("the server's backlog");
                    let (mut from_client, to_client) = outside.into_split();
                    let (from_server, mut to_server) = inside.into_split();
                    all.spawn(async move {
                        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                    });
                    all.spawn(way.clone().forward(from_server, to_client));
                }
            }
        });
        Self { url: format!("postgresql://{user}@{address}/{name}"), way, forwarding }
    }

    /// From now on no notification comes through.
    pub fn swallow_notifications(&self) {
        self.way.swallows.store(true, SeqCst);
    }

    /// How many did not.
    pub fn swallowed(&self) -> usize {
        self.way.swallowed.load(SeqCst)
    }

    /// Holds what its connection is told from the next row of any answer on.
    pub fn hold_next_row(&self) {
        self.way.holds.store(true, SeqCst);
    }

    /// Waits until one is held.
    pub async fn held(&self) {
        self.way.held.notified().await;
    }

    /// Lets it go.
    pub fn release(&self) {
        self.way.released.notify_one();
    }
}

impl Way {
    /// Messages have a type and a length (PostgreSQL's documentation, 54.7).
    async fn forward(self: Arc<Self>, mut from: unix::OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut head = [0; 5];
        while from.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut message = head.to_vec();
            message.resize(length as usize + 1, 0);
            if from.read_exact(&mut message[5..]).await.is_err() {
                return;
            }
            if head[0] == b'A' && self.swallows.load(SeqCst) {
                self.swallowed.fetch_add(1, SeqCst);
                continue;
            }
            if head[0] == b'D' && self.holds.swap(false, SeqCst) {
                self.held.notify_one();
                self.released.notified().await;
            }
            if to.write_all(&message).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for PgProxy {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}
