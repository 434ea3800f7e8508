//! Staff who look at pages in a browser. Their sessions are like any others, but kept by a token
//! that opens pages only.

use secrecy::SecretString;

use super::{
    Core, Result,
    email_address::EmailAddress,
    sessions::{Authenticated, PageToken},
    staff,
    tokens::TokenKind,
};
use crate::db::Origin;

/// Somebody who may see pages.
#[derive(Debug, Clone)]
pub struct Visit {
    pub who: Authenticated,
    /// Takes the place of the token that was shown.
    pub renewed: Option<PageToken>,
}

/// A new session in a browser.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub token: PageToken,
    /// Tells this browser at its next sign-in.
    pub device_token: String,
}

/// Opens a session. `device_token` is what the last sign-in in this browser gave.
///
/// # Errors
/// As [`staff::login`].
pub async fn sign_in(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    password: &SecretString,
    device_token: Option<&SecretString>,
) -> Result<SignedIn> {
    let checked = staff::check_credentials(core, origin, email, password, device_token).await?;
    let staff::Checked { mut tx, admin_id, device_token } = checked;
    let token = core.staff_sessions.open_for_pages(&mut tx, core.random, admin_id).await?;
    staff::record_sign_in(core, &mut tx, admin_id, token.session_id).await?;
    tx.commit().await?;
    Ok(SignedIn { token, device_token })
}

/// Tells whose token it is, and gives another one when it is time.
///
/// # Errors
/// As [`Sessions::authenticate`](super::sessions::Sessions::authenticate).
pub async fn visit(core: &Core, origin: &Origin, token: &str) -> Result<Visit> {
    let (sessions, now) = (&core.staff_sessions, core.clock.now());
    let claims = sessions.tokens.verify(TokenKind::Page, token, now)?;
    let session = sessions.check.check(core, &claims).await?;
    let renewed = sessions.renew_for_pages(core, origin, &claims).await?;
    Ok(Visit { who: Authenticated { claims, session }, renewed })
}
