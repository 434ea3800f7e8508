//! Pages of lists, and the cursors by which the next one goes on.
//!
//! A cursor holds what the last row has in the sorted columns, which may be an address or a name:
//! it is encrypted, so that neither URLs nor logs tell it (ASVS 5.0, 14.2.1). The list, its sort and its filter are
//! authenticated with it: a cursor is good for the list that it was given for, and no other.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use secrecy::SecretString;
use serde::Serialize;

use super::{
    FieldError, Result, ServiceError,
    sealing::{NonceBytes, SealingKey},
    tokens::derive_key,
};
use crate::db::{
    count::Total,
    keyset::{Sort, SortValue, Sortable, Window},
};

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    First,
    /// From 1; how many there are is counted as well.
    Page(u32),
    /// Where a cursor says.
    Cursor(String),
}

/// Which page of a list to read.
pub struct ListRequest<S: Sortable> {
    pub start: Start,
    /// How many items a page holds.
    pub limit: u32,
    pub sort: Sort<S>,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Listed<R> {
    pub items: Vec<R>,
    /// Where the next page starts, if there is one.
    pub next_cursor: Option<String>,
    /// How many items a page holds.
    pub limit: u32,
    /// Of a page that was asked for by its number.
    pub numbered: Option<Numbered>,
}

impl<R> Listed<R> {
    /// The same page of something else.
    #[must_use]
    pub fn map<T>(self, change: impl FnMut(R) -> T) -> Listed<T> {
        let Self { items, next_cursor, limit, numbered } = self;
        Listed { items: items.into_iter().map(change).collect(), next_cursor, limit, numbered }
    }
}

/// Which page it is, of how many items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// From 1.
    pub page: u32,
    pub total: Total,
}

/// A page that is being read.
pub struct Reading<'a, S: Sortable> {
    key: &'a CursorKey,
    context: Vec<u8>,
    limit: u32,
    page: Option<u32>,
    /// One row more than the page holds: it tells whether another page follows.
    pub window: Window<S>,
}

impl<S: Sortable> Reading<'_, S> {
    /// Whether [`Self::finish`] wants to know how many there are in all.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.page.is_some()
    }

    /// What `count` says, where [`Self::finish`] wants to know it; otherwise nothing is counted.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn total<E: Into<ServiceError>>(
        &self,
        count: impl Future<Output = Result<Total, E>>,
    ) -> Result<Option<Total>> {
        if self.is_counted() { count.await.map(Some).map_err(Into::into) } else { Ok(None) }
    }

    /// Makes the page of the rows in the window.
    ///
    /// # Errors
    /// Never, with these keys.
    pub fn finish(self, mut rows: Vec<S::Row>, total: Option<Total>) -> Result<Listed<S::Row>> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        let seal = |row| self.key.seal(&self.context, &self.window.sort.place(row));
        Ok(Listed {
            next_cursor: last.map(seal).transpose()?,
            items: rows,
            limit: self.limit,
            numbered: self.page.zip(total).map(|(page, total)| Numbered { page, total }),
        })
    }
}

/// Seals and opens the cursors of both surfaces.
pub struct CursorKey {
    sealing: SealingKey,
    nonces: hmac::Key,
}

impl CursorKey {
    /// Derives the keys from a secret.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let key = |kind| derive_key(secret, "twofold-cursors", kind);
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, &key("nonces"));
        Self { sealing: SealingKey::new(&key("sealing")), nonces }
    }

    /// Finds out where the page is.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`](super::Code::ValidationFailed) for a cursor that was not given
    /// for this list, sort and filter.
    pub fn start<S: Sortable>(
        &self,
        request: ListRequest<S>,
        filter: &impl Serialize,
    ) -> Result<Reading<'_, S>> {
        let ListRequest { start, limit, sort } = request;
        let filter = serde_json::to_string(filter).map_err(ServiceError::internal)?;
        let context = format!("{}\n{sort}\n{filter}", S::LIST).into_bytes();
        let (page, behind) = match start {
            Start::First => (None, None),
            Start::Page(page) => (Some(page), None),
            Start::Cursor(cursor) => {
                let place = self.open(&context, &cursor).ok_or_else(|| {
                    let message = "is not one that this list has given, with this sort and filter";
                    let fault = FieldError::new("cursor", "invalid_cursor", message);
                    ServiceError::invalid(vec![fault])
                })?;
                (None, Some(place))
            }
        };
        let offset = page.map_or(0, |page| (i64::from(page) - 1).max(0) * i64::from(limit));
        let window = Window { sort, behind, offset, limit: i64::from(limit) + 1 };
        Ok(Reading { key: self, context, limit, page, window })
    }

    fn seal(&self, context: &[u8], place: &[SortValue]) -> Result<String> {
        let text = serde_json::to_vec(place).map_err(ServiceError::internal)?;
        let sealed = self.sealing.seal(self.nonce(context, &text), context, &text)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn open(&self, context: &[u8], cursor: &str) -> Option<Vec<SortValue>> {
        let text = self.sealing.open(context, URL_SAFE_NO_PAD.decode(cursor).ok()?)?;
        serde_json::from_slice(&text).ok()
    }

    /// Made from what is sealed, so that the same page has the same cursor, and with it the same
    /// `ETag`. Different texts have different nonces, as good as certainly (compare RFC 5297).
    fn nonce(&self, context: &[u8], text: &[u8]) -> NonceBytes {
        let mut hash = hmac::Context::with_key(&self.nonces);
        hash.update(&context.len().to_be_bytes());
        hash.update(context);
        hash.update(text);
        let mut nonce = NonceBytes::default();
        let length = nonce.len();
        nonce.copy_from_slice(&hash.sign().as_ref()[..length]);
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> CursorKey {
        CursorKey::new(&secret.to_owned().into())
    }

    #[test]
    fn a_cursor_is_good_for_what_it_was_made_for_only() {
        let (one, other) = (key("a secret of 32 characters or so.."), key("another"));
        let place = vec![SortValue::Text("ada@example.com".to_owned()), SortValue::Null];
        let cursor = one.seal(b"users\n-email", &place).expect("sealed");
        assert_eq!(one.open(b"users\n-email", &cursor), Some(place.clone()));
        assert_eq!(one.open(b"users\nemail", &cursor), None, "another sort");
        assert_eq!(other.open(b"users\n-email", &cursor), None, "another key");
        assert_eq!(one.seal(b"users\n-email", &place).expect("sealed"), cursor, "the same again");
        assert!(!cursor.contains("ada"));
        for length in 0..cursor.len() {
            assert_eq!(one.open(b"users\n-email", &cursor[..length]), None, "cut at {length}");
            let mut bytes = cursor.clone().into_bytes();
            bytes[length] = if bytes[length] == b'A' { b'Q' } else { b'A' };
            let tampered = String::from_utf8(bytes).expect("text");
            assert_eq!(one.open(b"users\n-email", &tampered), None, "changed at {length}");
        }
    }
}
