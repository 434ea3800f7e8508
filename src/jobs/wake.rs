//! Wakes between processes: those who store jobs tell, those who do them listen.

use std::time::Duration;

use secrecy::SecretString;
use tokio::{sync::watch, time::sleep};

use crate::{
    db::{
        DbError,
        jobs::wakes::{Ear, Mouth},
    },
    services::jobs::Waker,
    telemetry::Chain,
};

/// A burst of jobs is told of once.
const DEBOUNCE: Duration = Duration::from_millis(2);
/// How long it is waited before the next connection, when there is none.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a connection on which nothing is heard is looked at.
const CHECK: Duration = Duration::from_secs(30);

/// Tells other processes of the jobs that are stored here, until `stop`. `url` leads to the database past any
/// pooler.
pub async fn tell(waker: Waker, url: SecretString, stop: watch::Receiver<bool>) {
    until(stop, async {
        let mut mouth = None;
        loop {
            waker.to_tell().await;
            if let Err(error) = tell_once(&mut mouth, &url).await {
                tracing::debug!("other processes can't be woken: {}", Chain(&error));
                mouth = None;
                sleep(PAUSE).await;
            }
            // What comes meanwhile is told of together.
            sleep(DEBOUNCE).await;
        }
    })
    .await;
}

async fn tell_once(mouth: &mut Option<Mouth>, url: &SecretString) -> Result<(), DbError> {
    if mouth.is_none() {
        *mouth = Some(Mouth::open(url).await?);
    }
    match mouth {
        Some(mouth) => mouth.tell().await,
        None => Ok(()),
    }
}

/// Wakes the worker of this process when another one tells of jobs, until `stop`.
pub async fn listen(waker: Waker, url: SecretString, stop: watch::Receiver<bool>) {
    until(stop, async {
        loop {
            if let Err(error) = hear(&waker, &url).await {
                tracing::debug!("no wakes are heard: {}", Chain(&error));
            }
            sleep(PAUSE).await;
        }
    })
    .await;
}

/// Until the connection ends.
async fn hear(waker: &Waker, url: &SecretString) -> Result<(), DbError> {
    let mut ear = Ear::open(url).await?;
    loop {
        // At first for what came before it listened.
        waker.wake_here();
        while tokio::time::timeout(CHECK, ear.heard()).await.is_ok() {
            waker.wake_here();
        }
        ear.check().await?;
    }
}

async fn until(mut stop: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
