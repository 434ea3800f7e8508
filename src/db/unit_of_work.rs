//! Puts the commits of one request off, so that all it does is one transaction, which ends with
//! what the request is answered.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{DbError, Origin, Tx};

/// Clones share it. By default each transaction commits for itself.
#[derive(Clone, Default)]
pub struct UnitOfWork(Option<Arc<Mutex<State>>>);

#[derive(Default)]
struct State {
    is_held: bool,
    /// Committed as far as its service knows. Its origin names no unit: it would be its own owner.
    put_off: Option<Tx>,
    is_lost: bool,
}

/// What had been committed as far as its service knows went with a later transaction of the same
/// request, which was rolled back.
#[derive(Debug, thiserror::Error)]
#[error("what the request had committed was rolled back later")]
pub struct Lost;

impl fmt::Debug for UnitOfWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnitOfWork").finish_non_exhaustive()
    }
}

impl UnitOfWork {
    /// One whose commits can be put off.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// From now on commits are put off until [`Self::end`].
    pub fn hold(&self) {
        if let Some(mut state) = self.state() {
            state.is_held = true;
        }
    }

    /// Takes what has been done, to be committed or dropped; commits count at once again.
    ///
    /// # Errors
    /// [`Lost`]
    pub fn end(&self) -> Result<Option<Tx>, Lost> {
        let Some(mut state) = self.state() else { return Ok(None) };
        let State { put_off, is_lost, .. } = std::mem::take(&mut *state);
        if is_lost { Err(Lost) } else { Ok(put_off) }
    }

    pub(super) fn is_held(&self) -> bool {
        self.state().is_some_and(|state| state.is_held)
    }

    /// Goes on with the transaction whose commit was put off.
    pub(super) fn resume(&self, origin: &Origin) -> Option<Tx> {
        let tx = self.state()?.put_off.take()?;
        Some(tx.resumed_by(origin.clone()))
    }

    /// A request has one transaction at a time.
    pub(super) fn put_off(&self, tx: Tx) -> Result<(), DbError> {
        let Some(mut state) = self.state().filter(|state| state.put_off.is_none()) else {
            return Err(diesel::result::Error::AlreadyInTransaction.into());
        };
        state.put_off = Some(tx);
        Ok(())
    }

    /// A transaction that had been resumed was rolled back.
    pub(super) fn lose(&self) {
        if let Some(mut state) = self.state() {
            state.is_lost = true;
        }
    }

    fn state(&self) -> Option<MutexGuard<'_, State>> {
        self.0.as_ref().map(|state| state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
