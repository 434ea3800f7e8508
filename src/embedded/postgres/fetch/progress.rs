//! Tells how far the download is: a bar on a terminal, one line elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Says on standard error what is being fetched; standard output belongs to the command.
    pub(super) fn start(what: &str, bytes: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("Fetching {what} …");
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(bytes).with_message(format!("Fetching {what}"));
        let template = "{msg} {bar:30} {bytes}/{total_bytes} {eta}";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self(bar)
    }

    /// Of the bytes given before, so many are there.
    pub(super) fn set(&self, bytes: u64) {
        // Clients keep a second copy meanwhile.
        self.0.set_position(bytes.min(self.0.length().unwrap_or(bytes)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
