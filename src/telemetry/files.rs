//! A log file for each day (UTC), of which only the last days are kept.
//!
//! `tracing_appender::rolling` keeps a number of files, however old they are, and asks the system
//! for the time; what is wanted is days by date, and a clock that tests can move.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{Days, NaiveDate};

use super::category::Category;
use crate::adapters::clock::Clock;

/// Holds `<category>.<date>.log` for each of the last days.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub path: PathBuf,
    /// How many days are kept, today included.
    pub retention_days: u32,
}

impl Folder {
    /// The path of a day's file.
    pub fn file(&self, category: Category, day: NaiveDate) -> PathBuf {
        self.path.join(format!("{}.{day}.log", category.name()))
    }

    /// A day's file, to append to. Makes it, and the folder, if they aren't there.
    pub fn open(&self, category: Category, day: NaiveDate) -> io::Result<File> {
        if !self.path.is_dir() {
            fs::DirBuilder::new().recursive(true).mode(0o750).create(&self.path)?;
        }
        // Not through a link, which another account may have put there.
        let no_links = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o640).custom_flags(no_links);
        options.open(self.file(category, day))
    }

    /// Removes the files of days before the kept ones, and returns how many. What can't be removed is tried
    /// tomorrow.
    pub fn prune(&self, category: Category, today: NaiveDate) -> usize {
        let kept = u64::from(self.retention_days.saturating_sub(1));
        let Some(oldest) = today.checked_sub_days(Days::new(kept)) else { return 0 };
        let mut removed = 0;
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let file_name = entry.file_name();
            let date = file_name.to_str().and_then(|file_name| {
                let rest = file_name.strip_prefix(category.name())?.strip_prefix('.')?;
                rest.strip_suffix(".log")?.parse::<NaiveDate>().ok()
            });
            if date.is_some_and(|date| date < oldest) && fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
        }
        removed
    }
}

/// Appends to the file of the day that it is; removes old ones when the day changes.
pub(super) struct DailyFile {
    folder: Folder,
    category: Category,
    clock: Clock,
    today: NaiveDate,
    /// Flushed by the writing thread whenever it has caught up.
    file: BufWriter<File>,
    /// Counts the lines that couldn't be written.
    failed: Arc<AtomicU64>,
}

impl DailyFile {
    /// Makes the folder and today's file, if they aren't there.
    ///
    /// # Errors
    /// When they can't be made or written.
    pub fn open(
        folder: Folder,
        category: Category,
        clock: Clock,
        failed: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let today = clock.now().date_naive();
        let file = BufWriter::new(folder.open(category, today)?);
        folder.prune(category, today);
        Ok(Self { folder, category, clock, today, file, failed })
    }

    /// Goes on with the old file as long as there can't be a new one.
    fn turn(&mut self) {
        let today = self.clock.now().date_naive();
        if today != self.today
            && let Ok(file) = self.folder.open(self.category, today)
        {
            self.file = BufWriter::new(file);
            self.today = today;
            self.folder.prune(self.category, today);
        }
    }
}

impl Write for DailyFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.turn();
        // In one piece: a line is never cut by the end of the buffer.
        self.file.write_all(line).inspect_err(|_| {
            self.failed.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, os::unix::fs::PermissionsExt, path::Path};

    use chrono::TimeDelta;

    use super::*;

    fn names(dir: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(dir).expect("readable").flatten();
        entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect()
    }

    fn write(file: &mut DailyFile, line: &[u8]) {
        file.write_all(line).expect("written");
        file.flush().expect("flushed");
    }

    #[test]
    fn each_day_has_its_file_and_seven_days_are_kept_by_date() {
        let place = tempfile::tempdir().expect("temporary directory");
        let (dir, clock) = (place.path().join("logs"), Clock::default());
        let day = |back: i64| (clock.now() - TimeDelta::days(back)).date_naive();
        fs::create_dir(&dir).expect("directory");
        let old = |name: &str, back: i64| dir.join(format!("{name}.{}.log", day(back)));
        for back in 1..=30 {
            fs::write(old("application", back), "old\n").expect("file");
        }
        // Not of this name, or not by date.
        for other in ["sql.2020-01-01.log", "application.log", "application.old.log", "notes.txt"] {
            fs::write(dir.join(other), "kept\n").expect("file");
        }

        let folder = Folder { path: dir.clone(), retention_days: 7 };
        let open = || {
            let folder = folder.clone();
            DailyFile::open(folder, Category::Application, clock.clone(), Arc::default())
                .expect("opened")
        };
        let mut file = open();
        let expected = |days: std::ops::RangeInclusive<i64>| {
            let others =
                ["sql.2020-01-01.log", "application.log", "application.old.log", "notes.txt"];
            let days = days.map(|back| format!("application.{}.log", day(back)));
            days.chain(others.map(str::to_owned)).collect::<BTreeSet<String>>()
        };
        assert_eq!(names(&dir), expected(0..=6));
        write(&mut file, b"today\n");
        let mode = fs::metadata(old("application", 0)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read_to_string(old("application", 0)).expect("read"), "today\n");

        clock.advance(TimeDelta::days(1));
        write(&mut file, b"tomorrow\n");
        assert_eq!(names(&dir), expected(0..=6));
        assert_eq!(fs::read_to_string(old("application", 0)).expect("read"), "tomorrow\n");
        assert_eq!(fs::read_to_string(old("application", 1)).expect("read"), "today\n");

        // Nothing was written for a while: age counts, not the number of files.
        clock.advance(TimeDelta::days(5));
        write(&mut file, b"later\n");
        let kept: BTreeSet<String> =
            [0, 5, 6].map(|back| format!("application.{}.log", day(back))).into();
        let of_ours = names(&dir).into_iter().filter(|n| n.starts_with("application.2"));
        assert_eq!(of_ours.collect::<BTreeSet<_>>(), kept);

        // A restart appends.
        drop(file);
        let mut file = open();
        write(&mut file, b"again\n");
        assert_eq!(fs::read_to_string(old("application", 0)).expect("read"), "later\nagain\n");
    }
}
