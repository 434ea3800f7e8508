//! A way to an S3 server on which a test can hold or cut off what the application asks.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

use super::{app::Builder, s3::S3};

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fault {
    Held,
    CutOff,
}

/// Requests whose first line holds this text meet with this.
type Rule = Option<(&'static str, Fault)>;

/// Forwards until it is dropped.
pub struct S3Proxy {
    s3: S3,
    port: u16,
    rule: watch::Sender<Rule>,
    met: Arc<Notify>,
    forwarding: JoinHandle<()>,
}

impl S3Proxy {
    pub async fn start() -> Self {
        let s3 = S3::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let (rule, rules) = watch::channel(None);
        let met = Arc::<Notify>::default();
        let forwarding = tokio::spawn({
            let (met, server) = (met.clone(), s3.port);
            async move {
                let mut all = JoinSet::new();
                while let Ok((outside, _)) = listener.accept().await {
                    let inside = TcpStream::connect(("127.0.0.1", server)).await;
                    let (mut from_server, to_server) = inside.expect("it runs").into_split();
                    let (from_client, mut to_client) = outside.into_split();
                    all.spawn(async move {
                        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                    });
                    all.spawn(forward(from_client, to_server, rules.clone(), met.clone()));
                }
            }
        });
        Self { s3, port, rule, met, forwarding }
    }

    /// The application keeps its files behind it; users go to the server itself.
    pub fn of(&self, app: Builder) -> Builder {
        let url = format!("http://127.0.0.1:{}", self.port);
        let with = |app: Builder, (name, value): (&str, String)| app.setting(name, &value);
        let app = self.s3.variables().into_iter().fold(app, with);
        let app = app.setting("TWOFOLD_STORAGE__PUBLIC_ENDPOINT", &self.s3.url());
        app.setting("TWOFOLD_STORAGE__ENDPOINT", &url)
    }

    /// Holds such requests until it is told something else.
    pub fn hold(&self, text: &'static str) {
        self.rule.send_replace(Some((text, Fault::Held)));
    }

    /// Cuts the connections of such requests.
    pub fn cut_off(&self, text: &'static str) {
        self.rule.send_replace(Some((text, Fault::CutOff)));
    }

    /// All goes through again, and what is held goes on.
    pub fn release(&self) {
        self.rule.send_replace(None);
    }

    /// Waits until a request has met with its rule.
    pub async fn met(&self) {
        self.met.notified().await;
    }
}

/// A request of the application's begins with what is read at once.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut rules: watch::Receiver<Rule>,
    met: Arc<Notify>,
) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let line: Vec<u8> = piece[..length].iter().copied().take_while(|b| *b != b'\r').collect();
        let line = String::from_utf8_lossy(&line).into_owned();
        let fault = |rule: &Rule| rule.filter(|(text, _)| line.contains(text)).map(|(_, it)| it);
        let found = fault(&rules.borrow());
        match found {
            None => {}
            Some(Fault::Held) => {
                met.notify_one();
                if rules.wait_for(|rule| fault(rule).is_none()).await.is_err() {
                    return;
                }
            }
            Some(Fault::CutOff) => {
                met.notify_one();
                return;
            }
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

impl Drop for S3Proxy {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}
