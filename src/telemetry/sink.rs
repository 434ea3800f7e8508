//! Where JSON lines go: into files, to Redis by way of a queue in memory, or both. Nobody who logs
//! waits for any of them.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use fred::bytes::Bytes;
use tokio::sync::mpsc;
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

use super::{
    category::Category,
    files::{DailyFile, Folder},
    losses::Losses,
};
use crate::adapters::clock::Clock;

/// How many lines may wait for Redis. They take some 20 MB.
pub(super) const QUEUE: usize = 65_536;

/// A line on its way to Redis, without the end of the line.
#[derive(Debug)]
pub(super) struct Line {
    pub category: Category,
    pub text: Bytes,
}

/// The files of all categories, each written by a thread of its own.
#[derive(Debug, Clone)]
pub(super) struct Files {
    application: NonBlocking,
    sql: NonBlocking,
}

impl Files {
    /// Makes them if they aren't there. The guards write out what is left when they are dropped.
    ///
    /// # Errors
    /// When they can't be made or written.
    pub fn open(
        folder: &Folder,
        clock: &Clock,
        losses: &mut Losses,
    ) -> io::Result<(Self, [WorkerGuard; 2])> {
        let mut open = |category| {
            let (folder, failed) = (folder.clone(), losses.failed.clone());
            let file = DailyFile::open(folder, category, clock.clone(), failed)?;
            let (writer, guard) = tracing_appender::non_blocking(file);
            losses.too_fast.push(writer.error_counter());
            io::Result::Ok((writer, guard))
        };
        let (application, application_guard) = open(Category::Application)?;
        let (sql, sql_guard) = open(Category::Sql)?;
        Ok((Self { application, sql }, [application_guard, sql_guard]))
    }

    /// What writes to the file of a category. It never fails: what the thread can't keep up with is
    /// dropped, and counted.
    pub fn of(&self, category: Category) -> &NonBlocking {
        match category {
            Category::Application => &self.application,
            Category::Sql => &self.sql,
        }
    }
}

/// Takes the lines of one category.
pub(super) struct Sink {
    pub category: Category,
    pub file: NonBlocking,
    /// Whether the file takes all lines, or only those for which there is no place in the queue.
    pub is_file: bool,
    /// Towards Redis.
    pub queue: Option<mpsc::Sender<Line>>,
    /// Counts the lines that found no place there.
    pub diverted: Arc<AtomicU64>,
}

impl Sink {
    fn enqueue(&self, line: &[u8]) -> bool {
        let Some(queue) = &self.queue else { return false };
        let text = Bytes::copy_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        let has_place = queue.try_send(Line { category: self.category, text }).is_ok();
        if !has_place {
            self.diverted.fetch_add(1, Ordering::Relaxed);
        }
        has_place
    }
}

impl Write for &Sink {
    /// Takes one line: the formatter hands over each in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.enqueue(line) || self.is_file {
            self.file.clone().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}
