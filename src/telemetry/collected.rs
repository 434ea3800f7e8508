//! The files that collected lines are written to.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use chrono::NaiveDate;

use super::{category::Category, files::Folder, stream::Entry};
use crate::adapters::clock::Clock;

/// Each line goes to the file of its own day.
pub(super) struct CollectedFiles {
    folder: Folder,
    clock: Clock,
    /// The day on which old files were removed last.
    pruned: NaiveDate,
}

impl CollectedFiles {
    /// Makes today's files, if they aren't there, and removes old ones.
    ///
    /// # Errors
    /// When they can't be made or written.
    pub fn open(folder: Folder, clock: Clock) -> io::Result<Self> {
        let today = clock.now().date_naive();
        for category in Category::ALL {
            folder.open(category, today)?;
            folder.prune(category, today);
        }
        Ok(Self { folder, clock, pruned: today })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.folder.path
    }

    /// Removes files of days before the kept ones, once a day.
    pub fn prune(&mut self) {
        let today = self.clock.now().date_naive();
        if today != self.pruned {
            self.pruned = today;
            for category in Category::ALL {
                self.folder.prune(category, today);
            }
        }
    }

    /// Appends the lines, which are on the disk when this returns.
    ///
    /// # Errors
    /// When they can't be written; some of them may be.
    pub fn append(&self, entries: &[Entry]) -> io::Result<()> {
        let mut texts: BTreeMap<(Category, NaiveDate), Vec<u8>> = BTreeMap::new();
        for entry in entries {
            entry.write_to(texts.entry((entry.category, entry.day())).or_default());
        }
        for ((category, day), text) in texts {
            self.append_to(category, day, &text)?;
            if day < self.pruned {
                // It may be old enough to go at once.
                self.folder.prune(category, self.pruned);
            }
        }
        Ok(())
    }

    fn append_to(&self, category: Category, day: NaiveDate, text: &[u8]) -> io::Result<()> {
        let mut file = self.folder.open(category, day)?;
        // Others wait meanwhile; the system gives it back when this process dies.
        file.lock()?;
        let length = file.metadata()?.len();
        if length > 0 && !ends_a_line(&self.folder.file(category, day), length)? {
            // Somebody died while writing: that line is handed out again, as a whole.
            file.write_all(b"\n")?;
        }
        file.write_all(text)?;
        file.unlock()?;
        file.sync_data()?;
        if length == 0 {
            // So that the file itself is still there after a power cut.
            File::open(&self.folder.path)?.sync_all()?;
        }
        Ok(())
    }
}

fn ends_a_line(file: &Path, length: u64) -> io::Result<bool> {
    let mut last = [0];
    File::open(file)?.read_exact_at(&mut last, length - 1)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use chrono::TimeDelta;

    use super::*;

    fn entry(category: &str, time: &str, number: u64) -> Entry {
        let line = format!(r#"{{"timestamp":"{time}","number":{number}}}"#);
        Entry::of(&format!("{number}-0"), category, &line)
    }

    #[test]
    fn a_line_stands_in_the_file_of_its_day_and_seven_days_are_kept() {
        let (place, clock) = (tempfile::tempdir().expect("directory"), Clock::default());
        let path = place.path().join("logs");
        let folder = Folder { path: path.clone(), retention_days: 7 };
        let mut files = CollectedFiles::open(folder, clock.clone()).expect("opened");
        let names = || -> BTreeSet<String> {
            let entries = fs::read_dir(&path).expect("readable").flatten();
            entries.map(|one| one.file_name().into_string().expect("UTF-8")).collect()
        };
        let day = |back: i64| (clock.now() - TimeDelta::days(back)).date_naive();
        let expected = |days: std::ops::RangeInclusive<i64>| -> BTreeSet<String> {
            let of_day =
                |back| ["application", "sql"].map(|name| format!("{name}.{}.log", day(back)));
            days.flat_map(of_day).collect()
        };
        // They come late, and in any order.
        let late = [3, 9, 0, 6, 7, 1, 2, 5, 4, 8];
        let entries: Vec<_> = late
            .into_iter()
            .flat_map(|back: u64| {
                let time = (clock.now() - TimeDelta::days(back.cast_signed())).to_rfc3339();
                ["application", "sql"].map(|category| entry(category, &time, back))
            })
            .collect();
        files.append(&entries).expect("written");
        assert_eq!(names(), expected(0..=6));
        for back in 0..=6 {
            let text = fs::read_to_string(path.join(format!("sql.{}.log", day(back))));
            assert!(text.expect("readable").contains(&format!(r#""number":{back}}}"#)));
        }
        clock.advance(TimeDelta::days(2));
        files.prune();
        assert_eq!(names(), expected(2..=6));
    }

    #[test]
    fn behind_a_line_that_was_cut_off_a_new_one_begins() {
        let (place, clock) = (tempfile::tempdir().expect("directory"), Clock::default());
        let folder = Folder { path: place.path().to_owned(), retention_days: 7 };
        let files = CollectedFiles::open(folder, clock.clone()).expect("opened");
        let file = place.path().join(format!("application.{}.log", clock.now().date_naive()));
        fs::write(&file, r#"{"stream_id":"1-0","time"#).expect("written");
        let time = clock.now().to_rfc3339();
        for number in [1, 2] {
            files.append(&[entry("application", &time, number)]).expect("written");
        }
        let text = fs::read_to_string(file).expect("readable");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with(r#"{"stream_id":"1-0","timestamp""#), "{text}");
        assert!(lines[2].ends_with(r#""number":2}"#), "{text}");
    }
}
