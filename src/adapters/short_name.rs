//! Names for what is kept outside a directory on its behalf.

use std::{os::unix::ffi::OsStrExt, path::Path};

use super::random::hex;

/// The same short name for the same path, for what is kept outside it.
#[must_use]
pub fn short_name(path: &Path) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, path.as_os_str().as_bytes());
    hex(&digest.as_ref()[..8])
}
