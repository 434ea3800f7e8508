//! The command line: what each command takes is here, what it does in a file of its own.

mod admin;
mod audit;
mod banner;
mod config;
#[cfg(feature = "embedded")]
mod dev;
mod doctor;
mod documents;
mod health;
mod log_consumer;
mod mail;
mod migrate;
mod output;
mod seed;
mod serve;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::{adapters::scheduling, bootstrap, config::Settings, telemetry};
use output::{Outcome, Output};

const EXAMPLES: &str = "\
Examples:
  twofold                                   serve both APIs
  twofold config check                      what is in effect, and where it comes from
  twofold doctor                            is everything there that it needs?
  twofold admin create --email ada@example.com --name Ada
  twofold routes --json | jq -r '.[].path'

Exit codes:
    0  done
    1  failed; the message says why
    2  the arguments are not valid
   69  something that it needs can't be reached, such as the database
   75  another instance is in the way
   78  the settings have faults; all of them are listed
  130  stopped by a second Ctrl-C

Settings: docs/settings.md";

/// One process, two APIs: a client API for apps and a backoffice API for staff.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    /// Print results as JSON on standard output, and failures on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve both APIs (the default)
    #[command(after_help = "Examples:
  twofold serve
  TWOFOLD_SERVER__LISTEN=0.0.0.0:8080 twofold serve
  DATABASE_URL=postgresql://app:secret@db/shop twofold serve")]
    Serve,
    /// Work on jobs, beside as many other processes as wanted
    #[command(after_help = "Examples:
  twofold worker
  TWOFOLD_JOBS__SLOTS=50 twofold worker

`serve` works on jobs, too, unless jobs.in_process is off.")]
    Worker,
    /// Build and serve, and do both again whenever a source changes; the database stays up
    #[cfg(feature = "embedded")]
    #[command(after_help = "Examples:
  cargo run -- dev

The database's address is that of the first start; other settings are read at each one.")]
    Dev,
    /// Change the database's schema
    #[command(
        subcommand,
        after_help = "Examples:
  twofold migrate status
  twofold migrate up"
    )]
    Migrate(migrate::Migrate),
    /// Manage staff accounts
    #[command(
        subcommand,
        after_help = "Examples:
  twofold admin list
  twofold admin create --email ada@example.com --name Ada
  twofold admin reset-password --email ada@example.com
  pass show backoffice | twofold admin reset-password --email ada@example.com --password-stdin"
    )]
    Admin(admin::Admin),
    /// Find out whether the audit log is as it was written
    #[command(
        subcommand,
        after_help = "Examples:
  twofold audit verify
  twofold audit verify --json | jq '.findings[]'"
    )]
    Audit(audit::Audit),
    /// Work with the settings
    #[command(
        subcommand,
        after_help = "Examples:
  twofold config check
  TWOFOLD_ENV=production twofold config check
  twofold config check --json | jq '.settings[] | select(.key == \"server.listen\")'"
    )]
    Config(config::Config),
    /// Look at everything that the product needs, and say what to do where it isn't there
    #[command(after_help = "Examples:
  twofold doctor
  TWOFOLD_ENV=production twofold doctor
  twofold doctor --json | jq '.findings[] | select(.state != \"ok\")'")]
    Doctor,
    /// Ask the instance that runs with these settings whether it is ready
    #[command(after_help = "Examples:
  twofold health
  until twofold health; do sleep 1; done")]
    Health,
    /// Collect the log lines of all instances from Redis into files
    #[command(after_help = "Examples:
  REDIS_URL=redis://127.0.0.1:6379 twofold log-consumer
  TWOFOLD_LOG__DIR=/var/log/twofold twofold log-consumer
  jq -r .stream_id logs/*.log | sort | uniq -d     which lines were written twice

It needs redis.url, and runs until it is stopped, also while Redis is away. Several may run at the
same time. Each line is written at least once, and carries its id in the stream.")]
    LogConsumer,
    /// Find out whether mail can be sent
    #[command(
        subcommand,
        after_help = "Examples:
  twofold mail test --to ada@example.com"
    )]
    Mail(mail::Mail),
    /// Fill the database with demo users; not in production
    #[command(after_help = "Examples:
  twofold seed
  twofold seed --users 1000000")]
    Seed(seed::Seed),
    /// List every operation of both APIs; needs no database
    #[command(after_help = "Examples:
  twofold routes
  twofold routes --json | jq -r '.[] | select(.needs_token | not) | .path'")]
    Routes,
    /// Work with the OpenAPI documents
    #[command(
        subcommand,
        after_help = "Examples:
  twofold openapi export client
  twofold openapi export backoffice -o backoffice.json"
    )]
    Openapi(documents::Openapi),
    /// Write the script that completes commands in a shell
    #[command(after_help = "Examples:
  twofold completions bash > ~/.local/share/bash-completion/completions/twofold
  twofold completions zsh > ~/.zfunc/_twofold
  twofold completions fish > ~/.config/fish/completions/twofold.fish")]
    Completions { shell: Shell },
    /// Write a page of the documentation
    #[command(hide = true)]
    Reference { page: documents::Page },
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    // Before there are other threads: they take after this one.
    scheduling::interrupt_nobody();
    let cli = Cli::parse();
    let output = Output { json: cli.json };
    match run(cli.command.unwrap_or(Command::Serve), output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.fail(&*failure),
    }
}

fn run(command: Command, output: Output) -> Outcome {
    match command {
        Command::Openapi(documents::Openapi::Export { surface, api_version, output }) => {
            documents::export(surface, &api_version, output)
        }
        Command::Routes => documents::routes(output),
        Command::Completions { shell } => documents::completions(shell),
        Command::Reference { page } => documents::reference(page),
        Command::Config(config::Config::Check) => config::check(&Settings::load()?, output),
        Command::Serve => {
            let settings = Settings::load()?.settings;
            let guard = bootstrap::logging(&settings, true)?;
            let logs = serve::Logs { dir: guard.dir.clone(), losses: guard.losses.clone() };
            block_on(serve::serve(settings, logs, output))
        }
        Command::Worker => {
            let settings = Settings::load()?.settings;
            let guard = bootstrap::logging(&settings, true)?;
            block_on(worker::worker(settings, guard.losses.clone()))
        }
        #[cfg(feature = "embedded")]
        Command::Dev => {
            let (settings, _guard) = one_shot()?;
            block_on(dev::run(&settings))
        }
        Command::Doctor => {
            let loaded = Settings::load()?;
            let _guard = bootstrap::logging(&loaded.settings, false)?;
            block_on(doctor::run(&loaded, output))
        }
        Command::Health => block_on(health::run(&Settings::load()?.settings, output)),
        Command::LogConsumer => {
            let (settings, _guard) = one_shot()?;
            block_on(log_consumer::run(&settings, output))
        }
        Command::Migrate(command) => {
            let (settings, _guard) = one_shot()?;
            block_on(migrate::run(&settings, command, output))
        }
        Command::Admin(command) => {
            let (settings, _guard) = one_shot()?;
            block_on(admin::run(&settings, command, output))
        }
        Command::Audit(command) => {
            let (settings, _guard) = one_shot()?;
            block_on(audit::run(&settings, command, output))
        }
        Command::Mail(command) => {
            let (settings, _guard) = one_shot()?;
            block_on(mail::run(&settings, command, output))
        }
        Command::Seed(seed) => {
            let (settings, _guard) = one_shot()?;
            block_on(seed::run(&settings, &seed, output))
        }
    }
}

/// The settings of a command; it logs to the terminal only.
fn one_shot() -> Result<(Settings, telemetry::Guard), output::Failure> {
    let settings = Settings::load()?.settings;
    let guard = bootstrap::logging(&settings, false)?;
    Ok((settings, guard))
}

fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
