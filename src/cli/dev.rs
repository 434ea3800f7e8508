//! `dev`: builds and serves, and does both again when a source changes. The database stays up.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use notify::{EventKind, RecursiveMode, Watcher};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    sync::mpsc,
};

use super::output::{Failure, Outcome};
use crate::{bootstrap::Database, config::Settings, embedded::child, server};

/// What a build is made of, beside the manifest.
const FOLDERS: [&str; 3] = ["src", "migrations", "config"];
const FILES: [&str; 3] = ["Cargo.toml", "Cargo.lock", ".env"];
/// How long what runs may take to end.
const END_LIMIT: Duration = Duration::from_secs(30);
/// Editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(100);

pub(super) async fn run(settings: &Settings) -> Outcome {
    if !Path::new("Cargo.toml").exists() {
        return Err("dev works in a checkout of the sources: there is no Cargo.toml here".into());
    }
    let mut database = Database::open(settings).await?;
    let done = Workshop::open(&database)?.work().await;
    database.stop();
    done
}

/// The watched sources, and what was built of them last.
struct Workshop {
    changes: mpsc::UnboundedReceiver<()>,
    _watcher: notify::RecommendedWatcher,
    database_url: String,
    serving: Option<Child>,
}

impl Workshop {
    fn open(database: &Database) -> Result<Self, Failure> {
        let (tell, changes) = mpsc::unbounded_channel();
        let root = env::current_dir()?;
        let of_interest = {
            let root = root.clone();
            move |path: &PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if path.parent() == Some(&root) {
                    return FILES.contains(&&*name);
                }
                // Editors keep files of their own beside the one that is edited.
                !name.starts_with('.') && !name.ends_with('~')
            }
        };
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if let Ok(event) = event
                    && !matches!(event.kind, EventKind::Access(_))
                    && event.paths.iter().any(&of_interest)
                {
                    let _ = tell.send(());
                }
            })?;
        // The folder itself, for an editor may replace a file by a new one.
        watcher.watch(&root, RecursiveMode::NonRecursive)?;
        for folder in FOLDERS.map(|folder| root.join(folder)).iter().filter(|f| f.is_dir()) {
            watcher.watch(folder, RecursiveMode::Recursive)?;
        }
        let database_url = database.url.expose_secret().to_owned();
        Ok(Self { changes, _watcher: watcher, database_url, serving: None })
    }

    /// Until Ctrl-C or SIGTERM.
    async fn work(mut self) -> Outcome {
        let stop = server::stop_signal();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                built = build() => match built? {
                    Some(program) => {
                        self.end().await;
                        self.serve(&program)?;
                    }
                    None => eprintln!("dev: the build failed; what ran before goes on"),
                },
            }
            tokio::select! {
                () = &mut stop => break,
                () = self.change() => eprintln!("dev: something changed, building"),
            }
        }
        self.end().await;
        Ok(())
    }

    /// The next change, once nothing more follows it.
    async fn change(&mut self) {
        let _ = self.changes.recv().await;
        while let Ok(Some(())) = tokio::time::timeout(QUIET, self.changes.recv()).await {}
    }

    /// Starts what was built; it ends with this process, however that ends.
    fn serve(&mut self, program: &Path) -> io::Result<()> {
        let mut command = Command::from(child::command(program, None, program));
        command
            .arg("serve")
            .env("DATABASE_URL", &self.database_url)
            .env_remove("DATABASE_URL_FILE");
        self.serving = Some(command.spawn()?);
        Ok(())
    }

    /// Lets it finish what it is doing.
    async fn end(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            let pid = serving.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(pid) = pid {
                let _ = kill_process(pid, Signal::TERM);
            }
            if tokio::time::timeout(END_LIMIT, serving.wait()).await.is_err() {
                let _ = serving.kill().await;
            }
        }
    }
}

/// Builds what is in this folder: the program, or `None` when there are errors, which cargo has
/// shown.
async fn build() -> io::Result<Option<PathBuf>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--message-format=json-render-diagnostics"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let program = messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    Ok(program.filter(|_| output.status.success()))
}
