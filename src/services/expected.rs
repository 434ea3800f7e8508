//! What a caller takes the present state of an object to be: so that of two people who change it
//! at the same time, the second doesn't undo what they haven't seen.

use super::{Code, Result};

/// A condition on the state that is about to be changed.
pub struct Expected<T>(Option<Condition<T>>);

type Condition<T> = Box<dyn FnOnce(&T) -> bool + Send>;

impl<T> Expected<T> {
    /// The state doesn't matter.
    #[must_use]
    pub fn anything() -> Self {
        Self(None)
    }

    /// Only states for which this is true.
    #[must_use]
    pub fn when(condition: impl FnOnce(&T) -> bool + Send + 'static) -> Self {
        Self(Some(Box::new(condition)))
    }

    /// To be asked under the lock of the row, so that the answer stays true.
    ///
    /// # Errors
    /// [`Code::PreconditionFailed`].
    pub fn check(self, present: &T) -> Result<()> {
        let is_met = self.0.is_none_or(|condition| condition(present));
        if is_met { Ok(()) } else { Err(Code::PreconditionFailed.into()) }
    }
}
