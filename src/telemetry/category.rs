//! The kinds of log lines.

use tracing::Metadata;

/// The target of SQL statements, which are a category of their own.
pub const SQL: &str = "twofold::sql";

/// What a line is about; each category has files of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Category {
    Application,
    Sql,
}

impl Category {
    pub const ALL: [Self; 2] = [Self::Application, Self::Sql];

    /// Its name in files and in Redis.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Sql => "sql",
        }
    }

    /// That of what is logged there.
    pub fn of(meta: &Metadata<'_>) -> Self {
        if meta.target() == SQL { Self::Sql } else { Self::Application }
    }
}
