//! `admin`: staff accounts.

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::output::{Failure, Outcome, Output, table};
use crate::{
    adapters::clock::Clock,
    bootstrap::{self, Database},
    config::Settings,
    db::{Origin, admins::Member},
    jobs,
    services::{
        Code, Core, ServiceError,
        email_address::{self, EmailAddress},
        staff,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Add a super-admin
    #[command(after_help = "Example:
  twofold admin create --email ada@example.com --name Ada")]
    Create {
        /// The person's name
        #[arg(long)]
        name: String,
        #[command(flatten)]
        account: Account,
    },
    /// List all admins
    #[command(after_help = "Example:
  twofold admin list")]
    List,
    /// Give an admin a new password and end their sessions
    #[command(after_help = "Examples:
  twofold admin reset-password --email ada@example.com
  pass show backoffice | twofold admin reset-password --email ada@example.com --password-stdin")]
    ResetPassword {
        #[command(flatten)]
        account: Account,
    },
}

#[derive(Debug, Args)]
pub(super) struct Account {
    /// The address of the account
    #[arg(long, value_parser = address)]
    email: EmailAddress,
    /// Read the password from standard input; without it a random one is made and printed
    #[arg(long)]
    password_stdin: bool,
}

pub(super) async fn run(settings: &Settings, command: Admin, output: Output) -> Outcome {
    let mut database = Database::open_shared(settings).await?;
    let done = administer(settings, &database, command, output).await;
    database.stop();
    done
}

async fn administer(
    settings: &Settings,
    database: &Database,
    command: Admin,
    output: Output,
) -> Outcome {
    database.prepare_schema().await?;
    let core = bootstrap::core(settings, database, None, &jobs::registry(), Clock::default())?;
    let origin = Origin::system("command line");
    match command {
        Admin::Create { name, account } => {
            let (email, given) = account.read()?;
            let password = staff::create(&core, &origin, &email, &name, given.clone()).await;
            report(&email, password, given.is_some(), "added", output)
        }
        Admin::List => list(&core, output).await,
        Admin::ResetPassword { account } => {
            let (email, given) = account.read()?;
            let password = staff::reset_password(&core, &origin, &email, given.clone()).await;
            report(&email, password, given.is_some(), "given a new password", output)
        }
    }
}

async fn list(core: &Core, output: Output) -> Outcome {
    let admins = staff::list(core).await?;
    let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M").to_string();
    let names =
        |admin: &Member| admin.roles.0.iter().map(|role| role.name.clone()).collect::<Vec<_>>();
    let mut rows =
        vec![["ADDRESS", "NAME", "ROLES", "CREATED", "LAST SIGN-IN"].map(String::from).into()];
    rows.extend(admins.iter().map(|admin| {
        vec![
            admin.email.clone(),
            admin.name.clone(),
            names(admin).join(", "),
            time(admin.created_at),
            admin.last_login_at.map_or("never".to_owned(), time),
        ]
    }));
    let values: Vec<_> = admins
        .iter()
        .map(|admin| {
            json!({
                "id": admin.id, "email": admin.email, "name": admin.name, "roles": names(admin),
                "created_at": admin.created_at, "last_login_at": admin.last_login_at,
            })
        })
        .collect();
    output.show(&json!({"admins": values}), table(&rows))
}

impl Account {
    fn read(self) -> Result<(EmailAddress, Option<SecretString>), Failure> {
        let email = self.email;
        if !self.password_stdin {
            return Ok((email, None));
        }
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok((email, Some(line.trim_end_matches(['\r', '\n']).into())))
    }
}

fn address(text: &str) -> Result<EmailAddress, String> {
    text.parse().map_err(|_| email_address::MESSAGE.to_owned())
}

fn report(
    email: &EmailAddress,
    outcome: Result<SecretString, ServiceError>,
    was_given: bool,
    what: &str,
    output: Output,
) -> Outcome {
    let email = email.as_str();
    match outcome {
        Ok(_) if was_given => output.show(&json!({"email": email}), format!("{email} was {what}")),
        Ok(password) => {
            let password = password.expose_secret();
            let text = format!("{email} was {what}\npassword (shown once): {password}");
            output.show(&json!({"email": email, "password": password}), text)
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
