//! The second factor of staff: signing in with it, setting it up, and proving once more who one is.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, types::Example};

use super::{Tag, auth::StaffTokenPair};
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        body::Body,
        envelope::{Answer, ApiResponse, NoContent},
        error::ApiError,
        types::SecretText,
    },
    db::{Origin, sessions::Account},
    services::{
        Core, FieldError, ServiceError, permissions::SecondFactorSetup, second_factor,
        sign_in::Proof, staff_sign_in,
    },
};

/// The challenge of a sign-in, and what answers it.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct CompleteStaffLoginRequest {
    /// As `login_admin` gave it with 202.
    pub challenge_token: SecretText,
    /// Six digits of the authenticator app, or a recovery code.
    #[oai(validator(min_length = 6, max_length = 20))]
    pub code: String,
}

/// Proof of who one is: one of both.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct StaffStepUpRequest {
    /// The password, where there is no second factor.
    pub password: Option<SecretText>,
    /// Six digits of the authenticator app, or a recovery code.
    #[oai(validator(min_length = 6, max_length = 20))]
    pub code: Option<String>,
}

/// A code of the authenticator app.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ConfirmStaffTotpRequest {
    /// Six digits.
    #[oai(validator(pattern = "^[0-9]{6}$"))]
    pub code: String,
}

/// For how long the proof counts.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StaffStepUp {
    /// Until then operations that need it are open to this session.
    pub valid_until: DateTime<Utc>,
}

/// What there is of a second factor.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StaffSecondFactor {
    /// Whether sign-ins ask for it.
    pub totp_enabled: bool,
    /// Since when; absent where there is none.
    #[oai(skip_serializing_if_is_none)]
    pub totp_enabled_at: Option<DateTime<Utc>>,
    /// How many recovery codes are left.
    pub recovery_codes_left: i64,
}

/// What an authenticator app needs.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StaffTotpEnrolment {
    /// To be typed into an authenticator app (base 32).
    pub secret: String,
    /// The same for apps on this device.
    pub otpauth_uri: String,
    /// The same as a QR code: an SVG picture in a `data:` URI.
    pub qr_code: String,
    /// Until when it can be confirmed.
    pub expires_at: DateTime<Utc>,
}

/// Codes for who has lost the device. They are shown this once, and each works once.
#[derive(Debug, Object)]
#[oai(example)]
pub struct StaffRecoveryCodes {
    /// To be kept where the device is not.
    pub recovery_codes: Vec<String>,
}

/// Operations on the second factor.
pub struct SecondFactorApi;

#[OpenApi(prefix_path = "/auth", tag = "Tag::Auth")]
impl SecondFactorApi {
    /// Sign in with the second factor
    ///
    /// Starts the session of a sign-in that was answered 202. A challenge takes five wrong codes.
    #[oai(path = "/login/mfa", method = "post", operation_id = "login_admin_with_second_factor")]
    async fn complete(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<CompleteStaffLoginRequest>,
    ) -> Answer<StaffTokenPair> {
        let CompleteStaffLoginRequest { challenge_token, code } = body.0;
        let signed_in =
            staff_sign_in::complete(core.0, &origin, challenge_token.expose(), &code).await?;
        Ok(ApiResponse::success(signed_in.into()))
    }

    /// Prove once more who you are
    ///
    /// By a code where there is a second factor, otherwise by the password. Operations with
    /// `x-step-up` need it when the session's last proof, its sign-in included, is older than that.
    #[oai(path = "/step-up", method = "post", operation_id = "step_up_admin")]
    async fn step_up(
        &self,
        auth: StaffAuth<SecondFactorSetup>,
        core: Data<&Arc<Core>>,
        body: Body<StaffStepUpRequest>,
    ) -> Answer<StaffStepUp> {
        let proof = match (body.0.password, body.0.code) {
            (Some(password), None) => Proof::Password(password.0),
            (None, Some(code)) => Proof::Code(code),
            (given, _) => {
                let (rule, message) = match given {
                    Some(_) => ("conflict", "must not be given with a code"),
                    None => ("required", "must be given, or a code"),
                };
                let fault = FieldError::new("password", rule, message);
                return Err(ServiceError::invalid(vec![fault]).into());
            }
        };
        let (admin, session_id) = (auth.account(core.0).await?, auth.session_id);
        let origin = &auth.origin;
        let valid_until =
            staff_sign_in::step_up(core.0, origin, &admin, session_id, &proof).await?;
        Ok(ApiResponse::success(StaffStepUp { valid_until }))
    }

    /// Read the state of the second factor
    ///
    /// Never its secrets.
    #[oai(path = "/mfa", method = "get", operation_id = "get_admin_second_factor")]
    async fn status(
        &self,
        auth: StaffAuth<SecondFactorSetup>,
        core: Data<&Arc<Core>>,
    ) -> Answer<StaffSecondFactor> {
        let status = second_factor::status(core.0, Account::Admin(auth.account_id)).await?;
        Ok(ApiResponse::success(StaffSecondFactor {
            totp_enabled: status.enabled_at.is_some(),
            totp_enabled_at: status.enabled_at,
            recovery_codes_left: status.recovery_codes,
        }))
    }

    /// Set up an authenticator app
    ///
    /// Makes a secret, which counts once `confirm_admin_totp` was given a code of it.
    #[oai(path = "/mfa/totp", method = "post", operation_id = "begin_admin_totp")]
    async fn begin(
        &self,
        auth: RecentStaffAuth<SecondFactorSetup>,
        core: Data<&Arc<Core>>,
    ) -> Answer<StaffTotpEnrolment> {
        let (admin, account) = (auth.account(core.0).await?, Account::Admin(auth.account_id));
        let enrolment = second_factor::begin(core.0, &auth.origin, account, &admin.email).await?;
        Ok(ApiResponse::success(StaffTotpEnrolment {
            secret: enrolment.secret,
            otpauth_uri: enrolment.uri,
            qr_code: enrolment.qr_code,
            expires_at: enrolment.expires_at,
        }))
    }

    /// Confirm the authenticator app
    ///
    /// From now on sign-ins ask for it. Answers the recovery codes, which are shown this once.
    #[oai(path = "/mfa/totp/confirm", method = "post", operation_id = "confirm_admin_totp")]
    async fn confirm(
        &self,
        auth: StaffAuth<SecondFactorSetup>,
        core: Data<&Arc<Core>>,
        body: Body<ConfirmStaffTotpRequest>,
    ) -> Answer<StaffRecoveryCodes> {
        let (id, session_id, code) =
            (Account::Admin(auth.account_id), auth.session_id, &body.0.code);
        let recovery_codes =
            second_factor::confirm(core.0, &auth.origin, id, session_id, code).await?;
        Ok(ApiResponse::success(StaffRecoveryCodes { recovery_codes }))
    }

    /// Disable the authenticator app
    ///
    /// Recovery codes are of no use any more. Where a second factor is a must, nothing else is open until another is
    /// set up.
    #[oai(path = "/mfa/totp", method = "delete", operation_id = "disable_admin_totp")]
    async fn disable(
        &self,
        auth: RecentStaffAuth,
        core: Data<&Arc<Core>>,
    ) -> Result<NoContent, ApiError> {
        second_factor::disable(core.0, &auth.origin, Account::Admin(auth.account_id)).await?;
        Ok(NoContent::Done)
    }

    /// Make new recovery codes
    ///
    /// In place of all others. They are shown this once.
    #[oai(
        path = "/mfa/recovery-codes",
        method = "post",
        operation_id = "renew_admin_recovery_codes"
    )]
    async fn renew(
        &self,
        auth: RecentStaffAuth,
        core: Data<&Arc<Core>>,
    ) -> Answer<StaffRecoveryCodes> {
        let (origin, id) = (&auth.origin, Account::Admin(auth.account_id));
        let recovery_codes = second_factor::renew_recovery_codes(core.0, origin, id).await?;
        Ok(ApiResponse::success(StaffRecoveryCodes { recovery_codes }))
    }
}

impl Example for CompleteStaffLoginRequest {
    fn example() -> Self {
        let token = SecretText("eyJ0eXAiOiJjaGFsbGVuZ2Urand0In0.e30.c2ln".into());
        Self { challenge_token: token, code: "123456".to_owned() }
    }
}

impl Example for StaffStepUpRequest {
    fn example() -> Self {
        Self { password: Some(SecretText("correct horse battery".into())), code: None }
    }
}

impl Example for ConfirmStaffTotpRequest {
    fn example() -> Self {
        Self { code: "123456".to_owned() }
    }
}

impl Example for StaffStepUp {
    fn example() -> Self {
        Self { valid_until: DateTime::UNIX_EPOCH }
    }
}

impl Example for StaffSecondFactor {
    fn example() -> Self {
        Self {
            totp_enabled: true,
            totp_enabled_at: Some(DateTime::UNIX_EPOCH),
            recovery_codes_left: 10,
        }
    }
}

impl Example for StaffTotpEnrolment {
    fn example() -> Self {
        let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
        let uri =
            format!("otpauth://totp/Twofold:ada%40example.com?secret={secret}&issuer=Twofold");
        Self {
            secret: secret.to_owned(),
            otpauth_uri: uri,
            qr_code: "data:image/svg+xml;base64,PHN2Zy8+".to_owned(),
            expires_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for StaffRecoveryCodes {
    fn example() -> Self {
        Self { recovery_codes: vec!["k7f3m-q9x2a".to_owned()] }
    }
}
