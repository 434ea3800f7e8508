//! The statements that move jobs, against a model of what they mean: whatever is done in whatever order,
//! both agree on every job after each step.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::Value;
use twofold::{
    adapters::random::Random,
    db::{
        Origin, Tx,
        jobs::{
            self, JobState, NewJob, Priority, TryOutcome, control,
            work::{self, Failure, Success},
            workers::{self, Sign},
        },
    },
};
use uuid::Uuid;

use crate::support::{TestApp, cluster::connect, rounds};

const QUEUES: [&str; 2] = ["one", "two"];
const MAX_ATTEMPTS: i32 = 3;
const MAX_CRASHES: i32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Enqueue {
        queue: usize,
        priority: usize,
        key: Option<u8>,
        delay: i64,
    },
    Claim {
        worker: usize,
        limit: usize,
    },
    ClaimSuspect {
        worker: usize,
    },
    /// With the lease before, as a worker would that has lost the job.
    Complete {
        job: usize,
        is_late: bool,
    },
    Fail {
        job: usize,
        may_retry: bool,
        is_late: bool,
    },
    Die {
        worker: usize,
    },
    Release {
        worker: usize,
    },
    Cancel {
        job: usize,
    },
    Retry {
        job: usize,
    },
    Discard {
        job: usize,
    },
    Pause {
        queue: usize,
        paused: bool,
    },
    Wait {
        seconds: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (queue, worker, job) = (0..QUEUES.len(), 0..2_usize, 0..8_usize);
    let key = prop::option::weighted(0.3, 0..3_u8);
    prop_oneof![
        4 => (queue.clone(), 0..3_usize, key, 0..3_i64).prop_map(|(queue, priority, key, delay)| {
            Step::Enqueue { queue, priority, key, delay }
        }),
        4 => (worker.clone(), 1..4_usize).prop_map(|(worker, limit)| Step::Claim { worker, limit }),
        2 => worker.clone().prop_map(|worker| Step::ClaimSuspect { worker }),
        3 => (job.clone(), prop::bool::weighted(0.2))
            .prop_map(|(job, is_late)| Step::Complete { job, is_late }),
        2 => (job.clone(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(job, may_retry, is_late)| Step::Fail { job, may_retry, is_late }),
        2 => worker.clone().prop_map(|worker| Step::Die { worker }),
        1 => worker.prop_map(|worker| Step::Release { worker }),
        1 => job.clone().prop_map(|job| Step::Cancel { job }),
        1 => job.clone().prop_map(|job| Step::Retry { job }),
        1 => job.prop_map(|job| Step::Discard { job }),
        1 => (queue, any::<bool>()).prop_map(|(queue, paused)| Step::Pause { queue, paused }),
        2 => (0..3_i64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// What a job is, as far as the model knows.
#[derive(Debug, Clone, PartialEq)]
struct ModelJob {
    id: Uuid,
    queue: &'static str,
    priority: i16,
    key: Option<String>,
    run_at: DateTime<Utc>,
    state: &'static str,
    attempts: i32,
    lease: i32,
    crashes: i32,
    is_suspect: bool,
    worker: Option<Uuid>,
    is_to_end: bool,
}

impl ModelJob {
    fn is_live(&self) -> bool {
        matches!(self.state, "waiting" | "running")
    }

    fn take(&mut self, worker: Uuid) {
        self.state = "running";
        self.attempts += 1;
        self.lease += 1;
        self.worker = Some(worker);
    }
}

struct Model {
    now: DateTime<Utc>,
    jobs: Vec<ModelJob>,
    workers: [Uuid; 2],
    paused: [bool; 2],
}

impl Model {
    fn is_due(&self, job: &ModelJob) -> bool {
        let queue = QUEUES.iter().position(|queue| *queue == job.queue).expect("one of them");
        job.state == "waiting" && job.run_at <= self.now && !self.paused[queue]
    }

    /// In the order in which they are to be taken.
    fn due(&self) -> Vec<Uuid> {
        let mut due: Vec<&ModelJob> =
            self.jobs.iter().filter(|job| self.is_due(job) && !job.is_suspect).collect();
        due.sort_by_key(|job| (job.priority, job.queue, job.run_at, job.id));
        due.iter().map(|job| job.id).collect()
    }

    fn job(&mut self, id: Uuid) -> &mut ModelJob {
        self.jobs.iter_mut().find(|job| job.id == id).expect("known")
    }

    fn running(&self, worker: Uuid) -> Vec<Uuid> {
        let held = |job: &&ModelJob| job.state == "running" && job.worker == Some(worker);
        self.jobs.iter().filter(held).map(|job| job.id).collect()
    }

    fn is_key_free(&self, job: &ModelJob) -> bool {
        job.key.is_none()
            || !self
                .jobs
                .iter()
                .any(|other| other.id != job.id && other.is_live() && other.key == job.key)
    }
}

#[expect(clippy::too_many_lines, reason = "an arm for each kind of step")]
async fn apply(tx: &mut Tx, model: &mut Model, step: &Step) {
    let now = model.now;
    let queues = QUEUES.map(str::to_owned);
    let nth = |model: &Model, job: usize| model.jobs.get(job % model.jobs.len().max(1)).cloned();
    match *step {
        Step::Enqueue { queue, priority, key, delay } => {
            let (id, run_at) = (Random.id(now), now + TimeDelta::seconds(delay));
            let key = key.map(|key| key.to_string());
            let priority = Priority::ALL[priority];
            let new = NewJob {
                id,
                queue: QUEUES[queue],
                kind: "model",
                payload: Value::Null,
                priority,
                run_at,
                unique_key: key.as_deref(),
                max_attempts: MAX_ATTEMPTS,
                user_id: None,
                admin_id: None,
                request_id: "model",
                now,
            };
            let stored = jobs::insert(tx, &[new]).await.expect("stored");
            let job = ModelJob {
                id,
                queue: QUEUES[queue],
                priority: priority.rank(),
                key,
                run_at,
                state: "waiting",
                attempts: 0,
                lease: 0,
                crashes: 0,
                is_suspect: false,
                worker: None,
                is_to_end: false,
            };
            let is_free = model.is_key_free(&job);
            assert_eq!(stored.len(), usize::from(is_free));
            if is_free {
                model.jobs.push(job);
            }
        }
        Step::Claim { worker, limit } => {
            let worker = model.workers[worker];
            let taken = work::claim(tx, worker, &queues, limit, now).await.expect("claimed");
            let mut expected = model.due();
            expected.truncate(limit);
            let mut found: Vec<Uuid> = taken.iter().map(|job| job.id).collect();
            for id in &expected {
                model.job(*id).take(worker);
            }
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
        Step::ClaimSuspect { worker } => {
            let worker = model.workers[worker];
            let taken = work::claim_suspect(tx, worker, &queues, now).await.expect("claimed");
            let suspects = model.jobs.iter().filter(|job| model.is_due(job) && job.is_suspect);
            let expected = suspects.min_by_key(|job| (job.run_at, job.id)).map(|job| job.id);
            assert_eq!(taken.map(|job| job.id), expected);
            if let Some(id) = expected {
                model.job(id).take(worker);
            }
        }
        Step::Complete { job, is_late } => {
            let Some(job) = nth(model, job) else { return };
            let lease = job.lease - i32::from(is_late);
            let worker = job.worker.unwrap_or(model.workers[0]);
            let done = [Success { id: job.id, lease, result: None }];
            let ours = work::complete(tx, worker, &done, now).await.expect("noted");
            let counts = job.state == "running" && !is_late;
            assert_eq!(ours, if counts { vec![job.id] } else { Vec::new() });
            if counts {
                let job = model.job(job.id);
                (job.state, job.is_suspect) = ("succeeded", false);
            }
        }
        Step::Fail { job, may_retry, is_late } => {
            let Some(job) = nth(model, job) else { return };
            let lease = job.lease - i32::from(is_late);
            let worker = job.worker.unwrap_or(model.workers[0]);
            let retry_at =
                (may_retry && job.attempts < MAX_ATTEMPTS).then(|| now + TimeDelta::seconds(1));
            let error = "failed".to_owned();
            let failure =
                Failure { id: job.id, lease, outcome: TryOutcome::Failed, error, retry_at };
            let is_ours = work::fail(tx, worker, &failure, now).await.expect("noted");
            let counts = job.state == "running" && !is_late;
            assert_eq!(is_ours, counts);
            if counts {
                let job = model.job(job.id);
                job.state = match retry_at {
                    Some(_) if job.is_to_end => "cancelled",
                    Some(_) => "waiting",
                    None => "failed",
                };
                job.run_at = retry_at.unwrap_or(job.run_at);
                job.is_suspect = false;
            }
        }
        Step::Die { worker } => {
            let dead = model.workers[worker];
            workers::remove(tx, dead).await.expect("gone");
            let held = model.running(dead);
            let silence = std::time::Duration::from_hours(1);
            let rescued = workers::rescue(tx, silence, MAX_CRASHES, now).await.expect("rescued");
            assert_eq!(rescued.len(), held.len());
            let was_alone = held.len() == 1;
            for id in held {
                let job = model.job(id);
                job.attempts -= 1;
                job.crashes += i32::from(was_alone);
                job.is_suspect = true;
                job.state = match () {
                    () if job.is_to_end => "cancelled",
                    () if was_alone && job.crashes >= MAX_CRASHES => "failed",
                    () => "waiting",
                };
            }
            // Another one starts. When exactly the jobs are due again is by chance.
            model.workers[worker] = Random.id(now);
            sign(tx, model.workers[worker], now).await;
            model.now += TimeDelta::seconds(3);
            read_times(tx, model).await;
        }
        Step::Release { worker } => {
            let worker = model.workers[worker];
            work::release(tx, worker, now).await.expect("released");
            for id in model.running(worker) {
                let job = model.job(id);
                (job.state, job.run_at) = ("waiting", now);
                job.attempts -= 1;
            }
        }
        Step::Cancel { job } => {
            let Some(job) = nth(model, job) else { return };
            let done = control::cancel(tx, job.id, now).await.expect("asked").is_some();
            assert_eq!(done, job.is_live());
            let job = model.job(job.id);
            match job.state {
                "waiting" => job.state = "cancelled",
                "running" => job.is_to_end = true,
                _ => {}
            }
        }
        Step::Retry { job } => {
            let Some(job) = nth(model, job) else { return };
            // A violation would end the whole transaction; the keys are the model's business here.
            if !model.is_key_free(&job) {
                return;
            }
            let done = control::retry(tx, job.id, now).await.expect("asked").is_some();
            assert_eq!(done, matches!(job.state, "waiting" | "failed" | "cancelled"));
            if done {
                let job = model.job(job.id);
                (job.state, job.run_at, job.is_to_end) = ("waiting", now, false);
                (job.attempts, job.crashes) = (0, 0);
            }
        }
        Step::Discard { job } => {
            let Some(job) = nth(model, job) else { return };
            let done = control::discard(tx, job.id).await.expect("asked");
            assert_eq!(done, job.state != "running");
            if done {
                model.jobs.retain(|one| one.id != job.id);
            }
        }
        Step::Pause { queue, paused } => {
            let changed = control::set_paused(tx, QUEUES[queue], paused, now).await.expect("set");
            assert!(!changed || paused != model.paused[queue] || !paused);
            model.paused[queue] = paused;
        }
        Step::Wait { seconds } => model.now += TimeDelta::seconds(seconds),
    }
}

async fn sign(tx: &mut Tx, id: Uuid, now: DateTime<Utc>) {
    let sign = Sign { id, host: "here", pid: 1, slots: 1, busy: 0 };
    workers::heartbeat(tx, &sign, now).await.expect("signed");
}

async fn rows(tx: &mut Tx, model: &Model) -> Vec<ModelJob> {
    let mut found = Vec::new();
    for job in &model.jobs {
        let row = jobs::find(tx, job.id).await.expect("asked").expect("there");
        let held = work::held(tx, row.worker_id.unwrap_or_default()).await.expect("asked");
        let lease = held.iter().find(|held| held.id == row.id).map_or(job.lease, |held| held.lease);
        found.push(ModelJob {
            state: match row.state {
                JobState::Waiting => "waiting",
                JobState::Running => "running",
                JobState::Succeeded => "succeeded",
                JobState::Failed => "failed",
                JobState::Cancelled => "cancelled",
            },
            id: row.id,
            queue: job.queue,
            priority: row.priority,
            key: row.unique_key,
            run_at: row.run_at,
            attempts: row.attempts,
            lease,
            crashes: row.crashes,
            is_suspect: job.is_suspect,
            worker: row.worker_id,
            is_to_end: row.cancel_requested,
        });
    }
    found
}

async fn read_times(tx: &mut Tx, model: &mut Model) {
    for index in 0..model.jobs.len() {
        let row = jobs::find(tx, model.jobs[index].id).await.expect("asked").expect("there");
        model.jobs[index].run_at = row.run_at;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_and_model_agree_whatever_is_done() {
    let app = TestApp::builder().setting("TWOFOLD_JOBS__IN_PROCESS", "false").start().await;
    let core = app.core.clone();
    let cases = u32::try_from(rounds(48, 2000)).expect("small");
    let runtime = tokio::runtime::Handle::current();
    let tested = tokio::task::spawn_blocking(move || {
        let config =
            ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config).run(&prop::collection::vec(step(), 1..60), |steps| {
            runtime.block_on(async {
                // Rolled back at the end of the case.
                let mut tx = core.db.begin(&Origin::system("model")).await.expect("begun");
                let now = tx.now;
                let workers = [Random.id(now), Random.id(now)];
                let mut model = Model { now, jobs: Vec::new(), workers, paused: [false; 2] };
                for worker in workers {
                    sign(&mut tx, worker, now).await;
                }
                for step in &steps {
                    apply(&mut tx, &mut model, step).await;
                    let found = rows(&mut tx, &model).await;
                    assert_eq!(found, model.jobs, "after {step:?}");
                }
            });
            Ok(())
        })
    });
    tested.await.expect("no panic").expect("they agree");
    let client = connect(app.database_url()).await;
    let left = client.query_one("SELECT count(*) FROM jobs", &[]).await.expect("asked");
    assert_eq!(left.get::<_, i64>(0), 0);
}
