//! Notes how jobs have ended: those that succeeded many at a time.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use uuid::Uuid;

use super::Shared;
use crate::{
    db::{
        DbError,
        jobs::work::{self, Failure, Postponed, Success},
    },
    telemetry::Chain,
};

/// How long it is waited when the database doesn't take it.
const PAUSE: Duration = Duration::from_millis(500);
/// How many are noted in one statement.
const AT_ONCE: usize = 1000;

/// How a job has ended.
#[derive(Debug)]
pub(super) enum End {
    Success(Success),
    Failure(Failure),
    Postponed(Postponed),
}

/// Notes what comes, until nobody is left who could send anything. What can't be noted for now is noted
/// later.
pub(super) async fn note(shared: Arc<Shared>, mut ends: mpsc::Receiver<End>) {
    let mut received = Vec::new();
    while ends.recv_many(&mut received, AT_ONCE).await > 0 {
        let (mut successes, mut others) = (Vec::new(), Vec::new());
        for end in received.drain(..) {
            match end {
                End::Success(success) => successes.push(success),
                End::Failure(_) | End::Postponed(_) => others.push(end),
            }
        }
        if !successes.is_empty() {
            let noted = complete(&shared, &successes).await;
            for one in &successes {
                shared.noted(one.id, one.lease, noted.contains(&one.id));
            }
        }
        for end in &others {
            let (id, lease, is_ours) = note_one(&shared, end).await;
            shared.noted(id, lease, is_ours);
        }
    }
}

/// Those that were ours. Until the database takes it: the work is done, and should not be done again.
async fn complete(shared: &Shared, done: &[Success]) -> Vec<Uuid> {
    loop {
        let now = shared.core.clock.now();
        let noted = match shared.core.db.conn().await {
            Ok(mut conn) => {
                work::complete(&mut conn, shared.id, done, now).await.map_err(Into::into)
            }
            Err(error) => Err(error),
        };
        match noted {
            Ok(ours) => return ours,
            Err(error) => pause(&error).await,
        }
    }
}

/// Whose end it was, and whether it was ours; likewise.
async fn note_one(shared: &Shared, end: &End) -> (Uuid, i32, bool) {
    loop {
        match try_to_note(shared, end).await {
            Ok(noted) => return noted,
            Err(error) => pause(&error).await,
        }
    }
}

async fn try_to_note(shared: &Shared, end: &End) -> Result<(Uuid, i32, bool), DbError> {
    let now = shared.core.clock.now();
    let mut conn = shared.core.db.conn().await?;
    Ok(match end {
        End::Failure(one) => (one.id, one.lease, work::fail(&mut conn, shared.id, one, now).await?),
        End::Postponed(one) => {
            (one.id, one.lease, work::postpone(&mut conn, shared.id, one, now).await?)
        }
        End::Success(one) => {
            let ours = work::complete(&mut conn, shared.id, std::slice::from_ref(one), now).await?;
            (one.id, one.lease, !ours.is_empty())
        }
    })
}

async fn pause(error: &DbError) {
    tracing::warn!("what was done can't be noted: {}", Chain(error));
    sleep(PAUSE).await;
}

impl Shared {
    fn noted(&self, id: Uuid, lease: i32, is_ours: bool) {
        self.running.remove(id, lease);
        if !is_ours {
            tracing::warn!(job_id = %id, "what was done doesn't count: another worker has the job");
        }
    }
}
