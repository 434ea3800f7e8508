//! Where and how HTTP is served: TLS and its certificates, HTTP/2, Unix sockets.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hyper::Request;
use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use twofold::{
    server::{Listen, Listener, TlsFiles},
    telemetry::Chain,
};

use crate::support::{
    TestApp, TestDb,
    app::{PASSWORD, free_port},
    connection::{Certificate, connect_tls, live, send},
    program::{Program, run, stderr},
};

struct Tls {
    app: TestApp,
    address: String,
    certificate: Certificate,
    files: TlsFiles,
    _folder: tempfile::TempDir,
}

async fn start_with_tls() -> Tls {
    let (folder, certificate) = (tempfile::tempdir().expect("directory"), Certificate::make());
    let files = certificate.write(folder.path());
    let listener = Listener::bind(&free_port(), Some(files.clone())).await.expect("bound");
    let app = TestApp::builder().listener(listener).start().await;
    let address = app.base.strip_prefix("https://").expect("HTTPS").to_owned();
    Tls { app, address, certificate, files, _folder: folder }
}

#[tokio::test]
async fn https_speaks_what_the_client_can() {
    let tls = start_with_tls().await;
    for version in [&TLS12, &TLS13] {
        for (protocol, is_http2) in [(b"h2".as_slice(), true), (b"http/1.1", false)] {
            let stream = connect_tls(&tls.address, &tls.certificate, version, protocol).await;
            let stream = stream.expect("connected");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
            let (status, answer) = send(stream, is_http2, live("https")).await;
            assert_eq!((status, &answer["data"]["status"]), (200, &"alive".into()));
        }
    }
}

#[tokio::test]
async fn http2_needs_no_tls() {
    let app = TestApp::start().await;
    let address = app.base.strip_prefix("http://").expect("HTTP");
    for is_http2 in [true, false] {
        let stream = TcpStream::connect(address).await.expect("connected");
        assert_eq!(send(stream, is_http2, live("http")).await.0, 200);
    }
}

#[tokio::test]
async fn a_client_that_fails_its_handshake_disturbs_nobody() {
    let tls = start_with_tls().await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(&tls.address).await.expect("connected"));
    }
    let mut plain = TcpStream::connect(&tls.address).await.expect("connected");
    plain.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    let mut answer = Vec::new();
    // Hung up on, with a TLS alert at most.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");

    let stream = connect_tls(&tls.address, &tls.certificate, &TLS13, b"h2").await;
    assert_eq!(send(stream.expect("connected"), true, live("https")).await.0, 200);
    drop(silent);
}

#[tokio::test]
async fn a_new_certificate_is_taken_once_it_is_of_use() {
    let tls = start_with_tls().await;
    let connect = async |trusted| connect_tls(&tls.address, trusted, &TLS13, b"h2").await;
    let before = connect(&tls.certificate).await.expect("connected");

    // Its key is still missing: the old one stays, however often the files are looked at.
    let new = Certificate::make();
    let elsewhere = tempfile::tempdir().expect("directory");
    let next = new.write(elsewhere.path());
    fs::copy(&next.certificate, &tls.files.certificate).expect("copied");
    for _ in 0..50 {
        connect(&tls.certificate).await.expect("the old one");
    }
    fs::copy(&next.key, &tls.files.key).expect("copied");
    let started = Instant::now();
    while connect(&new).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "not renewed");
    }
    assert!(connect(&tls.certificate).await.is_err(), "the old one is gone");
    // Who is connected stays so.
    assert_eq!(send(before, true, live("https")).await.0, 200);
    drop(tls.app);
}

#[tokio::test]
async fn faults_of_certificate_and_key_are_told() {
    let folder = || tempfile::tempdir().expect("directory");
    let (folder, elsewhere) = (folder(), folder());
    let files = Certificate::make().write(folder.path());
    let other = Certificate::make().write(elsewhere.path());
    let (missing, empty) = (PathBuf::from("/nowhere/x.pem"), folder.path().join("empty.pem"));
    fs::write(&empty, "").expect("written");
    let faults = [
        (missing.clone(), files.key.clone(), "can't read the TLS certificate /nowhere/x.pem"),
        (files.certificate.clone(), missing, "can't read the TLS key /nowhere/x.pem"),
        (files.key.clone(), files.key.clone(), "key.pem holds no certificate"),
        (files.certificate.clone(), empty, "empty.pem holds no private key"),
        (files.certificate.clone(), other.key, "is not the key of the certificate in"),
    ];
    for (certificate, key, expected) in faults {
        let files = TlsFiles { certificate, key, ..files.clone() };
        let error = Listener::bind(&free_port(), Some(files)).await.err().expect("a fault");
        let text = Chain(&error).to_string();
        assert!(text.contains(expected), "{text}");
    }
    let socket = Listen::Unix(folder.path().join("socket"));
    let error = Listener::bind(&socket, Some(files)).await.err().expect("a fault").to_string();
    assert!(error.contains("has no TLS"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_https() {
    let (dir, db) = (tempfile::tempdir().expect("directory"), TestDb::create().await);
    let certificate = Certificate::make();
    let files = certificate.write(dir.path());
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (certificate_file, key_file) = (path(&files.certificate), path(&files.key));
    let database = ("DATABASE_URL", db.url.as_str());
    let certificate_file = ("TWOFOLD_SERVER__TLS_CERTIFICATE_FILE", certificate_file.as_str());
    let key_file = ("TWOFOLD_SERVER__TLS_KEY_FILE", key_file.as_str());
    let half = run(dir.path(), &[], &[database, certificate_file]);
    assert!(!half.status.success() && stderr(&half).contains("both or none"), "{}", stderr(&half));

    let program = Program::start(dir.path(), &[database, certificate_file, key_file]);
    let address = program.base.strip_prefix("https://").expect("the banner says so");
    let stream = connect_tls(address, &certificate, &TLS13, b"h2").await.expect("connected");
    assert_eq!(send(stream, true, live("https")).await.0, 200);
    let log = program.stderr();
    assert!(log.contains("every account can read the TLS key"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_a_unix_socket() {
    let (dir, db) = (tempfile::tempdir().expect("directory"), TestDb::create().await);
    let socket = dir.path().join("a socket");
    let listen = format!("unix:{}", socket.display());
    let variables = [("DATABASE_URL", db.url.as_str()), ("TWOFOLD_SERVER__LISTEN", &listen)];
    // A file that is no socket isn't ours to remove.
    fs::write(&socket, "precious").expect("written");
    let refused = run(dir.path(), &[], &variables);
    assert!(stderr(&refused).contains("the file is no socket"), "{}", stderr(&refused));
    assert_eq!(fs::read_to_string(&socket).expect("still there"), "precious");
    fs::remove_file(&socket).expect("removed");

    let mut program = Program::start(dir.path(), &variables);
    assert!(program.stdout().contains(&listen), "{}", program.stdout());
    let mode = socket.metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    // The client has no address, and needs none.
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let request = Request::post("http://localhost/api/v1/auth/register")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(body.to_string().into());
    let stream = UnixStream::connect(&socket).await.expect("connected");
    let (status, answer) = send(stream, false, request.expect("a request")).await;
    assert_eq!(status, 200, "{answer}");

    let second = run(dir.path(), &[], &variables);
    assert_eq!(second.status.code(), Some(75));
    let text = stderr(&second);
    assert!(text.contains(&listen) && text.contains("another process listens there"), "{text}");

    // What a killed process left is replaced; a stop leaves nothing.
    program.signal(Signal::KILL);
    program.wait();
    assert!(socket.exists());
    let mut program = Program::start(dir.path(), &variables);
    let stream = UnixStream::connect(&socket).await.expect("connected");
    assert_eq!(send(stream, true, live("http")).await.0, 200);
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0), "{}", program.stderr());
    assert!(!socket.exists());
}
