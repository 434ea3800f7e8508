//! Staff who look at pages in a browser. Their sessions are like any others, but kept by a token
//! that opens pages only.

use secrecy::SecretString;

use super::{
    Code, Core, Result,
    email_address::EmailAddress,
    limits::{Action, Who},
    second_factor,
    sessions::{Authenticated, PageToken},
    staff_sign_in::{self, Checked},
    tokens::TokenKind,
};
use crate::db::{Origin, sessions::Account};

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

/// Opens a session. `code` is of the second factor; `device_token` is what the last sign-in in this browser gave.
///
/// # Errors
/// As [`staff_sign_in::login`]; [`Code::SecondFactorRequired`] without a code, [`Code::InvalidSecondFactor`], or
/// [`Code::SecondFactorSetupRequired`].
pub async fn sign_in(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    password: &SecretString,
    code: Option<&str>,
    device_token: Option<&SecretString>,
) -> Result<SignedIn> {
    let Checked { mut tx, admin, device_id } =
        staff_sign_in::check_password(core, origin, email, password, device_token).await?;
    let account = Account::Admin(admin.id);
    if second_factor::is_enabled(&mut tx, account).await? {
        let code = code.ok_or(Code::SecondFactorRequired)?;
        let who = match device_id {
            Some(device_id) => Who::Device { account_id: admin.id, device_id },
            None => Who::Account(admin.id),
        };
        core.limits.check(origin, Action::Code, who).await?;
        if !second_factor::consume(core, &mut tx, account, code).await? {
            drop(tx);
            staff_sign_in::refuse(core, origin, Some(admin.id)).await?;
            return Err(Code::InvalidSecondFactor.into());
        }
    } else if core.staff_factor_required {
        return Err(Code::SecondFactorSetupRequired.into());
    }
    let token = core.staff_sessions.open_for_pages(&mut tx, core.random, admin.id).await?;
    let device_token =
        staff_sign_in::note(core, &mut tx, admin.id, token.session_id, device_id).await?;
    tx.commit().await?;
    Ok(SignedIn { token, device_token })
}

/// Tells whose token it is, and gives another one when it is time.
///
/// # Errors
/// As [`Sessions::authenticate`](super::sessions::Sessions::authenticate), or [`Code::SecondFactorSetupRequired`].
pub async fn visit(core: &Core, origin: &Origin, token: &str) -> Result<Visit> {
    let (sessions, now) = (&core.staff_sessions, core.clock.now());
    let claims = sessions.tokens.verify(TokenKind::Page, token, now)?;
    let session = sessions.check.check(core, claims.subject()).await?;
    if core.staff_factor_required && !session.has_second_factor {
        return Err(Code::SecondFactorSetupRequired.into());
    }
    let renewed = sessions.renew_for_pages(core, origin, &claims).await?;
    Ok(Visit { who: Authenticated { claims, session }, renewed })
}
