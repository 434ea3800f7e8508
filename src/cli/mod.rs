//! The command line.

mod serve;

use std::{error::Error, io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    adapters::clock::Clock,
    api::Documents,
    bootstrap::{self, Database},
    config::Settings,
    db::{Origin, migrations},
    services::{self, Code, ServiceError, email_address::EmailAddress, staff},
    telemetry::{self, Chain},
};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// One process, two APIs: a client API for apps and a backoffice API for staff.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve both APIs (the default)
    Serve,
    /// Change the database's schema
    #[command(subcommand)]
    Migrate(Migrate),
    /// Manage staff accounts
    #[command(subcommand)]
    Admin(Admin),
    /// Work with the OpenAPI documents
    #[command(subcommand)]
    Openapi(Openapi),
}

#[derive(Debug, Subcommand)]
enum Migrate {
    /// Apply what is missing
    Up,
    /// Revert the newest migration
    Down,
    /// List all migrations
    Status,
}

#[derive(Debug, Subcommand)]
enum Admin {
    /// Add a super-admin
    Create {
        /// The person's name
        #[arg(long)]
        name: String,
        #[command(flatten)]
        account: Account,
    },
    /// Give an admin a new password and end their sessions
    ResetPassword {
        #[command(flatten)]
        account: Account,
    },
}

#[derive(Debug, Args)]
struct Account {
    /// The address of the account
    #[arg(long)]
    email: String,
    /// Read the password from standard input; without it a random one is made and printed
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Subcommand)]
enum Openapi {
    /// Write a document as JSON; needs no database
    Export {
        surface: Surface,
        /// The file to write, instead of standard output
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Surface {
    Client,
    Backoffice,
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    match run(Cli::parse().command.unwrap_or(Command::Serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome {
    if let Command::Openapi(Openapi::Export { surface, output }) = command {
        return export(surface, output);
    }
    let settings = Settings::load()?;
    telemetry::init(&settings.log.filter);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve => serve::serve(settings).await,
            Command::Migrate(command) => migrate(&settings, command).await,
            Command::Admin(command) => admin(&settings, command).await,
            Command::Openapi(_) => Ok(()),
        }
    })
}

fn export(surface: Surface, output: Option<PathBuf>) -> Outcome {
    let documents = Documents::make();
    let document = match surface {
        Surface::Client => documents.client,
        Surface::Backoffice => documents.backoffice,
    };
    match output {
        Some(path) => std::fs::write(&path, &document.text)
            .map_err(|e| format!("can't write {}: {e}", path.display()))?,
        None => std::io::stdout().write_all(document.text.as_bytes())?,
    }
    Ok(())
}

async fn migrate(settings: &Settings, command: Migrate) -> Outcome {
    let mut database = Database::open_shared(settings).await?;
    let done = match command {
        Migrate::Up => migrations::up(&database.direct_url).await.map(|applied| {
            for version in applied {
                println!("applied {version}");
            }
            println!("the schema is up to date");
        }),
        Migrate::Down => migrations::down(&database.direct_url).await.map(|reverted| {
            println!(
                "{}",
                reverted.map_or("nothing to revert".to_owned(), |v| format!("reverted {v}"))
            );
        }),
        Migrate::Status => migrations::status(&database.direct_url).await.map(|all| {
            for migration in all {
                let state = if migration.applied { "applied" } else { "pending" };
                println!("{state:8} {}", migration.version);
            }
        }),
    };
    database.stop();
    Ok(done?)
}

async fn admin(settings: &Settings, command: Admin) -> Outcome {
    let mut database = Database::open_shared(settings).await?;
    let done = change_admin(settings, &database, command).await;
    database.stop();
    done
}

async fn change_admin(settings: &Settings, database: &Database, command: Admin) -> Outcome {
    migrations::up(&database.direct_url).await?;
    let core = bootstrap::core(settings, database, Clock::default())?;
    let origin = Origin::system("command line");
    match command {
        Admin::Create { name, account } => {
            let (email, given) = account.read()?;
            let password = staff::create(&core, &origin, &email, &name, given.clone()).await;
            report(&email, password, given.is_some(), "added")
        }
        Admin::ResetPassword { account } => {
            let (email, given) = account.read()?;
            let password = staff::reset_password(&core, &origin, &email, given.clone()).await;
            report(&email, password, given.is_some(), "given a new password")
        }
    }
}

impl Account {
    fn read(&self) -> Result<(EmailAddress, Option<SecretString>), Box<dyn Error + Send + Sync>> {
        let email = self.email.parse().map_err(|_| {
            format!("--email: \"{}\" {}", self.email, services::email_address::MESSAGE)
        })?;
        if !self.password_stdin {
            return Ok((email, None));
        }
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok((email, Some(line.trim_end_matches(['\r', '\n']).into())))
    }
}

fn report(
    email: &EmailAddress,
    outcome: Result<SecretString, ServiceError>,
    was_given: bool,
    what: &str,
) -> Outcome {
    let email = email.as_str();
    match outcome {
        Ok(password) => {
            println!("{email} was {what}");
            if !was_given {
                println!("password (shown once): {}", password.expose_secret());
            }
            Ok(())
        }
        Err(error) if error.code == Code::NotFound => {
            Err(format!("no admin has the address {email}").into())
        }
        Err(error) if !error.fields.is_empty() => {
            let faults: Vec<_> = error
                .fields
                .iter()
                .map(|fault| format!("{} {}", fault.field, fault.message))
                .collect();
            Err(faults.join("; ").into())
        }
        Err(error) if error.code == Code::EmailTaken => Err(error.code.message().into()),
        Err(error) => Err(error.into()),
    }
}
