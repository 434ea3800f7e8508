//! The Redis Stream that log lines go through: an entry for each line, whose one field has the name
//! of its category.

use std::time::Duration;

use chrono::{DateTime, NaiveDate};
use fred::{bytes::Bytes, interfaces::StreamsInterface, types::Value};
use serde_json::json;

use super::{category::Category, sink::Line};
use crate::adapters::redis::{Connection, RedisError, within};

/// The key's name.
pub(super) const NAME: &str = "logs";
/// How many lines the stream may hold: some 400 MB. Redis removes the oldest beyond that, so the
/// instances stop adding before it comes to that.
const CAPACITY: i64 = 1_000_000;
/// At this length no more lines are added.
pub(super) const FULL: u64 = 900_000;
/// This length is told: nobody collects, or too slowly.
pub(super) const LAGGING: u64 = 500_000;

/// Adds lines in one go; returns how many the stream holds then.
///
/// # Errors
/// When Redis doesn't say that it has taken all of them; it may have taken some.
pub(super) async fn add(
    connection: &Connection,
    key: &str,
    lines: &[Line],
) -> Result<u64, RedisError> {
    let pipeline = connection.pipeline();
    for line in lines {
        let field = (line.category.name(), Value::Bytes(line.text.clone()));
        // Only noted here.
        let () = pipeline.xadd(key, false, ("MAXLEN", "~", CAPACITY), "*", field).await?;
    }
    let () = pipeline.xlen(key).await?;
    let mut answers: Vec<Value> = within(Duration::ZERO, pipeline.all()).await?;
    Ok(answers.pop().and_then(|length| length.as_u64()).unwrap_or_default())
}

/// How many lines the stream holds.
pub(super) async fn length(connection: &Connection, key: &str) -> Result<u64, RedisError> {
    within(Duration::ZERO, connection.xlen(key)).await
}

/// A line as it comes from the stream.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// Milliseconds and a number.
    pub id: String,
    pub category: Category,
    text: Bytes,
}

impl Entry {
    /// The entries of a list as Redis answers it. One that was removed meanwhile has none.
    pub fn list(list: Value) -> Vec<Self> {
        list.into_array().into_iter().filter_map(Self::read).collect()
    }

    fn read(entry: Value) -> Option<Self> {
        let [id, fields] = <[Value; 2]>::try_from(entry.into_array()).ok()?;
        let mut fields = fields.into_array().into_iter();
        let (name, text) = (fields.next()?.into_string()?, fields.next()?.into_bytes()?);
        let category = Category::ALL.into_iter().find(|category| category.name() == name);
        // What isn't ours is kept all the same.
        let category = category.unwrap_or(Category::Application);
        Some(Self { id: id.into_string()?, category, text })
    }

    /// The day of the line; where it has none, that on which Redis got it.
    pub fn day(&self) -> NaiveDate {
        let timestamp = self.text.strip_prefix(br#"{"timestamp":""#);
        let day = timestamp.and_then(|rest| str::from_utf8(rest.get(..10)?).ok()?.parse().ok());
        day.unwrap_or_else(|| {
            let milliseconds = self.id.split('-').next().and_then(|part| part.parse().ok());
            let time = milliseconds.and_then(DateTime::from_timestamp_millis);
            time.unwrap_or_default().date_naive()
        })
    }

    /// Appends the line with its id in the stream, by which a line that was written twice is found.
    pub fn write_to(&self, lines: &mut Vec<u8>) {
        match self.text.strip_prefix(br#"{""#) {
            Some(rest) if !rest.contains(&b'\n') => {
                lines.extend_from_slice(format!(r#"{{"stream_id":"{}",""#, self.id).as_bytes());
                lines.extend_from_slice(rest);
            }
            _ => {
                let text = String::from_utf8_lossy(&self.text);
                let line = json!({"stream_id": self.id, "message": text});
                lines.extend_from_slice(line.to_string().as_bytes());
            }
        }
        lines.push(b'\n');
    }
}

#[cfg(test)]
impl Entry {
    /// What is read of an entry with this one field.
    pub fn of(id: &str, field: &str, text: &str) -> Self {
        let fields = [field, text].map(Value::from).to_vec();
        let entry = Value::Array(vec![id.into(), Value::Array(fields)]);
        let mut entries = Self::list(Value::Array(vec![Value::Null, entry]));
        assert_eq!(entries.len(), 1);
        entries.remove(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(field: &str, text: &str) -> Entry {
        Entry::of("1700000000000-3", field, text)
    }

    fn written(entry: &Entry) -> String {
        let mut lines = Vec::new();
        entry.write_to(&mut lines);
        String::from_utf8(lines).expect("UTF-8")
    }

    #[test]
    fn a_line_keeps_its_text_and_day_and_gets_its_id() {
        let line = r#"{"timestamp":"2026-11-21T23:59:59.9Z","level":"INFO"}"#;
        let sql = entry("sql", line);
        assert_eq!((sql.category, sql.day().to_string()), (Category::Sql, "2026-11-21".to_owned()));
        let expected = r#"{"stream_id":"1700000000000-3","timestamp":"2026-11-21T23:59:59.9Z","level":"INFO"}"#;
        assert_eq!(written(&sql), format!("{expected}\n"));
    }

    #[test]
    fn what_is_not_ours_is_one_line_of_json_on_the_day_of_its_id() {
        for text in ["no JSON", "{}", "{\"a\":\n1}", "{\"timestamp\":\"../../x\n", ""] {
            let other = entry("../x", text);
            let line = written(&other);
            assert_eq!(line.lines().count(), 1, "{line}");
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(line["stream_id"], "1700000000000-3");
            assert_eq!(line["message"], text);
            assert_eq!(other.category, Category::Application);
            assert_eq!(other.day().to_string(), "2023-11-14");
        }
    }
}
