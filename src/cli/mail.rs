//! `mail`: does it arrive?

use clap::Subcommand;
use serde_json::json;

use super::output::{Outcome, Output};
use crate::{
    adapters::{clock::Clock, mailer, random::Random},
    bootstrap,
    config::Settings,
    services::{
        email_address::EmailAddress,
        mails::{DEFAULT_LOCALE, Template, Templates},
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Mail {
    /// Send a test mail in the configured way, and say what became of it; needs no database
    #[command(after_help = "Examples:
  twofold mail test --to ada@example.com
  SMTP_URL=smtps://user:secret@mail.shop.test twofold mail test --to ada@example.com
  twofold mail test --to ada@example.com --json | jq -r .transport")]
    Test {
        /// Who gets it
        #[arg(long)]
        to: EmailAddress,
    },
}

pub(super) async fn run(settings: &Settings, command: Mail, output: Output) -> Outcome {
    let Mail::Test { to } = command;
    let clock = Clock::default();
    let mailer = bootstrap::mailer(settings, &clock)?;
    let templates = Templates::new(mailer.product());
    let rendered = templates.render_sample(Template::Test, DEFAULT_LOCALE)?;
    let mail = mailer::Mail {
        id: Random.id(clock.now()),
        recipient: to.as_str().to_owned(),
        subject: rendered.subject,
        text: rendered.text,
        html: Some(rendered.html),
    };
    let receipt = mailer.send(&mail).await?;
    let (transport, provider_id) = (receipt.transport, receipt.provider_id);
    let known = provider_id.as_ref().map(|id| format!(" as {id}")).unwrap_or_default();
    let text = format!("{transport} has taken the mail to {}{known}", to.as_str());
    output.show(&json!({"id": mail.id, "transport": transport, "provider_id": provider_id}), text)
}
