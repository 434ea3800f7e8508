//! The cluster's files and database: made once, and left alone by another version.

use std::{fs, os::unix::net::UnixStream, path::Path, time::Duration};

use super::{NAME, PostgresError, binaries::Binaries, place::Place};
use crate::{
    adapters::random::{Random, hex},
    embedded::child,
};

/// How long connecting to a server on this machine may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// `initdb`, unless there is a cluster: under a temporary name, so that a kill leaves no
/// half-made one.
///
/// Call it on a thread that lives until it returns: `initdb` ends with that.
pub(super) fn initialise(
    binaries: &Binaries,
    place: &Place,
    own_binary: &Path,
) -> Result<(), PostgresError> {
    if place.made_by().is_some() {
        return Ok(());
    }
    // Not everything goes if `initdb` of a start that was killed is still about to end. A name of
    // its own keeps it away from this one, and the next start removes what is left.
    let remove = || fs::remove_dir_all(place.unfinished());
    let _ = remove();
    let data = place.unfinished().join(hex(&Random.bytes::<8>()));
    // A UTF-8 character type lets searches fold the case of every letter; where the system has
    // no such locale, of ASCII only. Sorting by bytes is the same everywhere.
    let made = initdb(binaries, place, own_binary, &data, "C.UTF-8")
        .or_else(|_| initdb(binaries, place, own_binary, &data, "C"));
    let renamed = made.and_then(|()| {
        fs::rename(&data, place.data()).map_err(PostgresError::io("can't rename", &data))
    });
    let _ = remove();
    renamed
}

fn initdb(
    binaries: &Binaries,
    place: &Place,
    own_binary: &Path,
    data: &Path,
    ctype: &str,
) -> Result<(), PostgresError> {
    let mut initdb = child::command(own_binary, place.account(), &binaries.initdb());
    place.clean(&mut initdb);
    initdb
        .args(["-U", NAME, "--auth=trust", "-E", "UTF8", "--no-instructions"])
        .args(["--locale=C", "--lc-ctype", ctype, "-D"])
        .arg(data);
    let output = initdb.output().map_err(PostgresError::io("can't run", &binaries.initdb()))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(PostgresError::init(place.data(), &reason));
    }
    Ok(())
}

/// A connection as the product's role; it ends with the returned client.
pub(super) async fn connect(
    place: &Place,
    database: &str,
) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host_path(place.socket_dir()).user(NAME).dbname(database).connect_timeout(CONNECT_LIMIT);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Makes the product's database, unless it is there.
pub(super) async fn create_database(place: &Place) -> Result<(), PostgresError> {
    let create = async {
        let client = connect(place, "postgres").await?;
        let found = "SELECT 1 FROM pg_database WHERE datname = $1";
        if client.query_opt(found, &[&NAME]).await?.is_none() {
            client.batch_execute(&format!("CREATE DATABASE {NAME}")).await?;
        }
        Ok(())
    };
    let failed =
        |error: tokio_postgres::Error| PostgresError::init(place.data(), &error.to_string());
    create.await.map_err(failed)
}

/// A server that outlived its parent (where the system sends no signal at its death) is stopped:
/// started again as our child it will end with us.
pub(super) fn stop_orphan(binaries: &Binaries, place: &Place) {
    if UnixStream::connect(place.socket()).is_ok() || is_stopping(place) {
        let mut stop = place.command(&binaries.pg_ctl());
        stop.args(["stop", "-m", "fast", "-w", "-s", "-D"]).arg(place.data());
        if let Ok(output) = stop.output()
            && output.status.success()
        {
            tracing::info!("stopped a PostgreSQL that an earlier process had left running");
        }
    }
}

/// Whether the process that `postmaster.pid` names is this cluster's server, which may have closed
/// its socket already. The file alone proves nothing: the number may be a stranger's by now.
fn is_stopping(place: &Place) -> bool {
    let file = fs::read_to_string(place.data().join("postmaster.pid")).unwrap_or_default();
    let pid = file.lines().next().unwrap_or_default();
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.contains(&*place.data().to_string_lossy())
}
