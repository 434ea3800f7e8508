//! Commands that need no settings and no database: documents, references, completions.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{CommandFactory, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::{
    Cli,
    output::{Outcome, Output, table},
};
use crate::{
    api::{self, Operation},
    config,
};

#[derive(Debug, Subcommand)]
pub(super) enum Openapi {
    /// Write a document as JSON; needs no database
    #[command(after_help = "Examples:
  twofold openapi export client
  twofold openapi export backoffice -o backoffice.json")]
    Export {
        surface: Surface,
        /// Which version of the API
        #[arg(long, default_value = "v1")]
        api_version: String,
        /// The file to write, instead of standard output
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Surface {
    Client,
    Backoffice,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Page {
    /// docs/settings.md
    Settings,
    /// docs/commands.md
    Commands,
}

pub(super) fn export(surface: Surface, version: &str, output: Option<PathBuf>) -> Outcome {
    let surface = match surface {
        Surface::Client => api::Surface::Client,
        Surface::Backoffice => api::Surface::Backoffice,
    };
    let documents = api::documents(None);
    let of_surface = || documents.iter().filter(|document| document.surface == surface);
    let Some(document) = of_surface().find(|document| document.version == version) else {
        let known: Vec<&str> = of_surface().map(|document| document.version).collect();
        return Err(format!("there is no version {version}; known: {}", known.join(", ")).into());
    };
    match output {
        Some(path) => std::fs::write(&path, &document.text)
            .map_err(|e| format!("can't write {}: {e}", path.display()).into()),
        None => print(&document.text),
    }
}

pub(super) fn reference(page: Page) -> Outcome {
    match page {
        Page::Settings => print(&config::reference()),
        Page::Commands => print(&commands()),
    }
}

pub(super) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "twofold", &mut script);
    print(&String::from_utf8(script)?)
}

/// Every operation of both documents.
pub(super) fn routes(output: Output) -> Outcome {
    let documents = api::documents(None);
    let routes: Vec<Operation> = documents.iter().flat_map(|one| one.operations()).collect();
    let mut rows = vec![["METHOD", "PATH", "OPERATION", "NEEDS"].map(String::from).into()];
    rows.extend(routes.iter().map(|route| {
        let needs = if route.needs_token { "a token" } else { "nothing" };
        vec![route.method.clone(), route.path.clone(), route.operation_id.clone(), needs.to_owned()]
    }));
    output.show(&routes, table(&rows))
}

fn print(text: &str) -> Outcome {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The help of every command on one page.
fn commands() -> String {
    let head = "# Commands\n\nMade by `twofold reference commands`; don't edit it.\n";
    let mut page = head.to_owned();
    let mut root = Cli::command();
    root.build();
    describe(&mut page, &mut root);
    page
}

fn describe(page: &mut String, command: &mut clap::Command) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim().lines().map(str::trim_end).collect();
    for part in ["\n## ", &name, "\n\n```text\n", &lines.join("\n"), "\n```\n"] {
        page.push_str(part);
    }
    for inner in command.get_subcommands_mut() {
        if inner.get_name() != "help" && !inner.is_hide_set() {
            describe(page, inner);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md");
        let page = std::fs::read_to_string(path).expect("readable");
        let how = "run: cargo run -- reference commands > docs/commands.md";
        assert!(page == super::commands(), "{how}");
    }
}
