//! Whole lists, read a window after the other: whoever writes them down holds one window at a time, and no
//! connection meanwhile.

use futures_util::{Stream, stream};

use super::Result;
use crate::db::keyset::{Sort, SortValue, Sortable, Window};

/// How many rows are read at once.
const AT_ONCE: i64 = 1000;

/// The rows of a sorted list, from the first to the last; `load` reads those in a window.
pub fn pages<S, L, F>(sort: Sort<S>, load: L) -> impl Stream<Item = Result<Vec<S::Row>>> + Send
where
    S: Sortable,
    S::Row: Send,
    L: Fn(Window<S>) -> F + Send,
    F: Future<Output = Result<Vec<S::Row>>> + Send,
{
    stream::try_unfold((Some(Behind::Nothing), sort, load), async |(at, sort, load)| {
        let behind = match at {
            None => return Ok(None),
            Some(Behind::Nothing) => None,
            Some(Behind::Row(place)) => Some(place),
        };
        let rows = load(Window { sort: sort.clone(), behind, offset: 0, limit: AT_ONCE }).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == AT_ONCE);
        let next = rows.last().filter(|_| is_full).map(|row| Behind::Row(sort.place(row)));
        Ok(Some((rows, (next, sort, load))))
    })
}

/// Where the next window begins.
enum Behind {
    Nothing,
    Row(Vec<SortValue>),
}
