//! `audit`: is the log as it was written?

use clap::Subcommand;

use super::output::{Outcome, Output};
use crate::{
    adapters::clock::Clock,
    bootstrap::{self, Database},
    config::Settings,
    jobs,
    services::audit::verify::{Head, Report, verify},
};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Name every entry that was edited, deleted, inserted or reordered since it was sealed
    #[command(after_help = "Examples:
  twofold audit verify
  twofold audit verify --json | jq -r '.head | \"\\(.number):\\(.seal)\"'
  twofold audit verify --head 1234:5f0ad2c4…

It ends with 1 if it finds anything. It needs the secret that the log was sealed with (auth.data_secret).
Keep the head that it prints elsewhere: an end of the log that was cut off is found by that alone.")]
    Verify {
        /// A head that was printed before, `NUMBER:SEAL`: the log must still have it
        #[arg(long, value_parser = head)]
        head: Option<Head>,
    },
}

pub(super) async fn run(settings: &Settings, command: Audit, output: Output) -> Outcome {
    let mut database = Database::open_shared(settings).await?;
    let done = verified(settings, &database, command, output).await;
    database.stop();
    done
}

async fn verified(
    settings: &Settings,
    database: &Database,
    command: Audit,
    output: Output,
) -> Outcome {
    let Audit::Verify { head } = command;
    database.prepare_schema().await?;
    let core = bootstrap::core(settings, database, None, &jobs::registry(), Clock::default())?;
    let report = verify(&core, head.as_ref()).await?;
    output.show(&report, text(&report))?;
    match report.findings.len() {
        0 => Ok(()),
        count => Err(format!("the audit log is not as it was sealed: {count} findings").into()),
    }
}

fn text(report: &Report) -> String {
    let mut lines: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let Report { segments, sealed, erased, unsealed, .. } = report;
    lines.push(format!(
        "{sealed} entries in {segments} segments are as they were sealed, {erased} of them without details, \
         which went with an account; {unsealed} wait to be sealed"
    ));
    if let Some(since) = report.since {
        lines.push(format!("entries of before {} were dropped", since.format("%Y-%m-%d")));
    }
    if let Some(head) = &report.head {
        lines.push(format!("head: {}:{}", head.number, head.seal));
    }
    lines.join("\n")
}

fn head(text: &str) -> Result<Head, String> {
    let parts = text.split_once(':');
    let parsed = parts.and_then(|(number, seal)| Some((number.parse().ok()?, seal.to_owned())));
    let (number, seal) = parsed.ok_or("give it as NUMBER:SEAL")?;
    Ok(Head { number, seal })
}
