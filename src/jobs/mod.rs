//! Work that no request waits for: what does it. What is wanted, and when, is in `services/jobs/`.

mod audit;
pub mod cleanup;
mod files;
mod handler;
mod logs;
mod mail;
pub mod metrics;
mod posts;
mod registry;
mod scheduler;
mod staff;
mod users;
pub mod worker;

use crate::services::{
    events::{
        DeletionCancelled, DeletionRequested, EmailChanged, NewDeviceSignedIn, PasswordChanged,
        RefreshTokenReused, SecondFactorChanged, UserVerified,
    },
    files::{
        parts::AssembleFile, pictures::MakePicture, removal::CleanUpFiles, strays::SweepUploads,
    },
    impersonation::EndImpersonation,
    jobs::Schedule,
    mailed_answers::{AnswerRegistration, SendPasswordReset, SendVerificationCode},
    mails::DeliverMail,
    notices::{Notice, Notify},
    posts::publishing::PublishPost,
    reactions::SendWelcome,
    staff_recovery::SendStaffPasswordReset,
    users::status::LiftSuspension,
};
use audit::{DropOld, MakePartitions, Seal};
use cleanup::{CleanUp, What};
pub use handler::{Context, Handler, JobError};
use logs::PruneLogs;
use posts::AddCounts;
pub use registry::Registry;
use users::EraseUsers;
pub use worker::{Options, Worker};

/// Everything that comes with Twofold. A feature adds its jobs here, a line each.
#[must_use]
pub fn registry() -> Registry {
    Registry::default()
        .handle::<DeliverMail>()
        .handle::<AnswerRegistration>()
        .handle::<SendVerificationCode>()
        .handle::<SendPasswordReset>()
        .handle::<SendStaffPasswordReset>()
        .handle::<LiftSuspension>()
        .handle::<PublishPost>()
        .handle::<MakePicture>()
        .handle::<AssembleFile>()
        .handle::<EndImpersonation>()
        .on(|event: &UserVerified| SendWelcome { user_id: event.user_id })
        .on(|event: &NewDeviceSignedIn| {
            let session_id = event.session_id;
            Notify { user_id: event.user_id, notice: Notice::NewDevice { session_id } }
        })
        .on(|event: &PasswordChanged| Notify {
            user_id: event.user_id,
            notice: Notice::PasswordChanged,
        })
        .on(|event: &EmailChanged| {
            let old_email = event.old_email.clone();
            Notify { user_id: event.user_id, notice: Notice::EmailChanged { old_email } }
        })
        .on(|event: &SecondFactorChanged| Notify {
            user_id: event.user_id,
            notice: event.change.into(),
        })
        .on(|event: &RefreshTokenReused| {
            let session_id = event.session_id;
            Notify { user_id: event.user_id, notice: Notice::RefreshTokenReused { session_id } }
        })
        .on(|event: &DeletionRequested| Notify {
            user_id: event.user_id,
            notice: Notice::DeletionRequested,
        })
        .on(|event: &DeletionCancelled| Notify {
            user_id: event.user_id,
            notice: Notice::DeletionCancelled,
        })
        .schedule::<CleanUp>(clean_up("tokens", "7 * * * *", What::Tokens))
        .schedule::<CleanUp>(clean_up("sessions", "17 3 * * *", What::Sessions))
        .schedule::<CleanUp>(clean_up("idempotency_keys", "27 * * * *", What::IdempotencyKeys))
        .schedule::<CleanUp>(clean_up("job_history", "37 * * * *", What::JobHistory))
        .schedule::<CleanUp>(clean_up("mails", "47 * * * *", What::Mails))
        .schedule::<CleanUp>(clean_up("notifications", "57 3 * * *", What::Notifications))
        .schedule::<CleanUp>(clean_up("posts", "7 4 * * *", What::Posts))
        .schedule::<AddCounts>(Schedule::new("post_counts", "* * * * *", AddCounts {}))
        .schedule::<EraseUsers>(Schedule::new("deletions", "52 * * * *", EraseUsers {}))
        .schedule::<MakePartitions>(Schedule::new("audit", "12 2 * * *", MakePartitions {}))
        .schedule::<Seal>(Schedule::new("audit_seals", "* * * * *", Seal {}))
        .schedule::<DropOld>(Schedule::new("audit_retention", "32 2 * * *", DropOld {}))
        .schedule::<CleanUpFiles>(Schedule::new("files", "* * * * *", CleanUpFiles {}))
        .schedule::<SweepUploads>(Schedule::new("uploads", "42 * * * *", SweepUploads {}))
        .schedule::<PruneLogs>(Schedule::new("logs", "5 0 * * *", PruneLogs {}))
}

fn clean_up(name: &'static str, cron: &str, what: What) -> Schedule {
    Schedule::new(name, cron, CleanUp { what })
}
