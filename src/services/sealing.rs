//! Seals what must neither be read nor changed where it is kept (ChaCha20-Poly1305, RFC 8439).

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{Result, ServiceError};

/// What two sealed texts must not share.
pub(super) type NonceBytes = [u8; NONCE_LEN];

/// Seals and opens.
pub(super) struct SealingKey(LessSafeKey);

impl SealingKey {
    #[expect(clippy::expect_used, reason = "it fails for keys of another length only")]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("32 bytes")))
    }

    /// Seals a text; only who names the same `context` opens it.
    ///
    /// # Errors
    /// Never, with texts of this size.
    pub fn seal(&self, nonce: NonceBytes, context: &[u8], text: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = text.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut sealed,
            )
            .map_err(|_| ServiceError::internal("a text can't be sealed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// The text; `None` when it was sealed by another key or for another context, or was changed.
    pub fn open(&self, context: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self.0.open_in_place(nonce, Aad::from(context), text).ok()?;
        Some(text.to_vec())
    }
}
