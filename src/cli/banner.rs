//! What `serve` says when it is ready: every address, and where things are kept.

use std::{
    fmt::{self, Write},
    path::PathBuf,
};

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::output::{Outcome, Output};
use crate::services::staff;

/// What a start has to tell.
pub(super) struct Banner {
    pub environment: String,
    pub has_embedded_database: bool,
    /// As the settings have it.
    pub listen: String,
    /// What addresses start with; empty for a Unix socket, where there are paths only.
    pub base_url: String,
    pub has_docs: bool,
    pub has_outbox: bool,
    /// Where the embedded parts keep their data.
    pub data: Option<PathBuf>,
    /// The embedded database, where it isn't among the other data.
    pub cluster: Option<PathBuf>,
    pub logs: Option<PathBuf>,
    pub first_password: Option<SecretString>,
}

impl Banner {
    pub fn show(&self, output: Output) -> Outcome {
        output.show(self, self)
    }

    /// A name for programs, a label for people, and the path.
    fn addresses(&self) -> impl Iterator<Item = (&'static str, &'static str, String)> {
        let all = [
            (self.has_docs, "navigation", "Start here", "/"),
            (true, "client_api", "Client API", "/api/v1"),
            (self.has_docs, "client_docs", "  docs", "/client/docs"),
            (self.has_docs, "client_redoc", "  ReDoc", "/client/redoc"),
            (true, "backoffice_api", "Backoffice API", "/api/v1/backoffice"),
            (self.has_docs, "backoffice_docs", "  docs", "/backoffice/docs"),
            (self.has_docs, "backoffice_redoc", "  ReDoc", "/backoffice/redoc"),
            (self.has_docs && self.has_outbox, "outbox", "Outbox", "/outbox"),
            (true, "health", "Health", "/api/v1/config/health"),
        ];
        let there = all.into_iter().filter(|(is_there, ..)| *is_there);
        there.map(|(_, name, label, path)| (name, label, format!("{}{path}", self.base_url)))
    }
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database =
            if self.has_embedded_database { "embedded PostgreSQL" } else { "PostgreSQL" };
        let (version, environment) = (env!("CARGO_PKG_VERSION"), &self.environment);
        writeln!(f, "\n  Twofold {version} is ready ({environment}, {database})\n")?;
        let line = |f: &mut fmt::Formatter<'_>, label: &str, value: &dyn fmt::Display| {
            writeln!(f, "  {label:<16}{value}")
        };
        if self.base_url.is_empty() {
            line(f, "Listening on", &self.listen)?;
        }
        for (_, label, address) in self.addresses() {
            line(f, label, &address)?;
        }
        f.write_char('\n')?;
        if let Some(data) = &self.data {
            line(f, "Data", &data.display())?;
        }
        if let Some(cluster) = &self.cluster {
            line(f, "  PostgreSQL", &cluster.display())?;
        }
        if let Some(logs) = &self.logs {
            line(f, "Logs", &logs.display())?;
        }
        if let Some(password) = &self.first_password {
            writeln!(f, "\n  The first super-admin (shown once):")?;
            line(f, "  address", &staff::FIRST_EMAIL)?;
            line(f, "  password", &password.expose_secret())?;
        }
        writeln!(f, "\n  Stop with Ctrl-C.")
    }
}

/// One line, for programs that start this one.
impl Serialize for Banner {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let addresses =
            self.addresses().map(|(name, _, address)| (name.to_owned(), json!(address)));
        let admin = self.first_password.as_ref().map(
            |password| json!({"email": staff::FIRST_EMAIL, "password": password.expose_secret()}),
        );
        let ready = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "environment": self.environment,
            "embedded_database": self.has_embedded_database,
            "listen": self.listen,
            "addresses": addresses.collect::<Map<String, Value>>(),
            "data": self.data,
            "cluster": self.cluster,
            "logs": self.logs,
            "first_admin": admin,
        });
        ready.serialize(serializer)
    }
}
