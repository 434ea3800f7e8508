//! Files of comma-separated values (RFC 4180) that spreadsheets open, written while they are read: memory
//! doesn't grow with them.
//!
//! An operation answers [`CsvFile`]: `csv::file("users.csv", pages)`, where `pages` are those of
//! [`export::pages`](crate::services::export::pages) and its rows say by [`CsvRow`] what they hold.

use std::io;

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use poem::Body;
use poem_openapi::{ApiResponse as OpenApiResponse, payload::Binary};

use super::error::ApiError;
use crate::{services::Result, telemetry::Chain};

/// A row of a file.
pub trait CsvRow {
    /// The names of its cells, which are the first line.
    const COLUMNS: &'static [&'static str];

    /// What they hold, in the same order; empty where there is nothing.
    fn cells(self) -> Vec<String>;
}

/// The answer of an operation that exports a list.
#[derive(OpenApiResponse)]
pub enum CsvFile {
    /// A line of names, and one for each row.
    #[oai(status = 200, content_type = "text/csv")]
    File(
        Binary<Body>,
        /// What to call the file.
        #[oai(header = "Content-Disposition")]
        String,
        /// Always `no-store`: a proxy is no place for it.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

/// Writes rows as they come. What fails before the first ones is answered as ever; what fails later ends the
/// connection, so that nobody takes a part for the whole.
///
/// # Errors
/// When the first rows can't be read.
pub async fn file<R, T>(
    name: &str,
    pages: impl Stream<Item = Result<Vec<R>>> + Send + 'static,
) -> Result<CsvFile, ApiError>
where
    R: Send + 'static,
    T: CsvRow + From<R>,
{
    let mut pages = Box::pin(pages);
    let first = pages.next().await.transpose()?.unwrap_or_default();
    let head = line(T::COLUMNS.iter().map(|name| (*name).to_owned()));
    let lines = stream::once(async { Ok(first) })
        .chain(pages)
        .map_ok(|rows| rows.into_iter().map(|row| line(T::from(row).cells())).collect::<String>());
    let text = stream::once(async { Ok(head) }).chain(lines).map_err(|error| {
        tracing::error!("an export ends early: {}", Chain(&error));
        io::Error::other(error)
    });
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(CsvFile::File(Binary(Body::from_bytes_stream(text)), disposition, "no-store".to_owned()))
}

fn line(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|cell| cell_of(&cell)).collect();
    cells.join(",") + "\r\n"
}

/// A cell that no spreadsheet takes for a formula (OWASP, CSV injection): such a text is led by an apostrophe,
/// which they don't show.
fn cell_of(text: &str) -> String {
    const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
    let lead = if text.starts_with(FORMULAS) { "'" } else { "" };
    let is_plain = !text.contains(['"', ',', '\r', '\n', ';', '\t']);
    if is_plain {
        return format!("{lead}{text}");
    }
    format!("\"{lead}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        for (text, cell) in [
            ("", ""),
            ("Ada", "Ada"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("a=1", "a=1"),
        ] {
            assert_eq!(cell_of(text), cell, "{text:?}");
        }
        assert_eq!(line(["a".to_owned(), "=b".to_owned()]), "a,'=b\r\n");
    }
}
