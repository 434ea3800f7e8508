//! Registration, sign-in and recovery.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    ApiResponse as OpenApiResponse, Enum, Object, OpenApi, payload::Json, types::Example,
};

use super::Tag;
use crate::{
    api::{
        auth::{Always, ClientAuth},
        body::{Body, OptionalBody},
        envelope::{Answer, ApiResponse, Done, NoContent},
        error::ApiError,
        idempotency::IdempotencyKey,
        types::{Email, NewPassword, SecretText},
    },
    db::Origin,
    services::{
        Core,
        accounts::{self, Registration},
        own_sessions::{self, Scope},
        sessions,
        sign_in::{self, Device, Outcome, SignedIn},
    },
};

/// A new account.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct RegisterRequest {
    /// The address, which is also the name to sign in with.
    pub email: Email,
    /// At least 12 characters of any kind, unless the settings say otherwise; none that many others have, and not
    /// made of the name or the address.
    pub password: NewPassword,
    /// How to address the person.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// The language to write to the person in (BCP 47).
    #[oai(validator(pattern = "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"))]
    pub locale: Option<String>,
}

/// The code from the mail.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct VerifyEmailRequest {
    /// The address that was registered.
    pub email: Email,
    /// The password that it was registered with: a code makes no other registration good.
    pub password: SecretText,
    /// Six digits.
    #[oai(validator(pattern = "^[0-9]{6}$"))]
    pub code: String,
}

/// An address.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct EmailRequest {
    /// The address of the account.
    pub email: Email,
}

/// Address and password.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct LoginRequest {
    /// The address of the account.
    pub email: Email,
    /// The password.
    pub password: SecretText,
    /// What the list of sessions calls this device.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00]*$"))]
    pub device_name: Option<String>,
    /// As the last sign-in from this device gave it.
    pub device_token: Option<SecretText>,
}

/// Which sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum LogoutScope {
    /// The one of the token.
    Local,
    /// All but that.
    Others,
    /// All.
    Global,
}

/// Which sessions to end.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct LogoutRequest {
    /// `local`, the one of the token, unless it says otherwise.
    pub scope: Option<LogoutScope>,
}

/// A refresh token.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct RefreshRequest {
    /// As the last sign-in or refresh gave it.
    pub refresh_token: SecretText,
}

/// A new password, and the token from the mail.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ResetPasswordRequest {
    /// The token from the mail.
    pub token: SecretText,
    /// The new password: as at the registration, but eight characters will do beside a second factor.
    pub new_password: NewPassword,
}

/// The tokens of a session.
#[derive(Debug, Object)]
#[oai(example)]
pub struct TokenPair {
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// Exchange it for new tokens at `/auth/refresh`; each works once.
    pub refresh_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// The life of the access token in seconds.
    pub expires_in: i64,
    /// The life of the refresh token in seconds.
    pub refresh_expires_in: i64,
    /// Of a sign-in: keep it on this device, and send it with the next one.
    #[oai(skip_serializing_if_is_none)]
    pub device_token: Option<String>,
}

/// How far a right password leads.
#[derive(OpenApiResponse)]
pub enum LoginResponse {
    /// Signed in.
    #[oai(status = 200)]
    SignedIn(Json<ApiResponse<TokenPair>>),
    /// The second factor comes next: send a code of it, with the challenge, to `/auth/login/mfa`.
    #[oai(status = 202)]
    Challenged(Json<ChallengedResponse>),
}

/// The password is right, and the account has a second factor.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ChallengedResponse {
    /// 202: accepted, and not yet signed in.
    pub code: u16,
    /// Safe to show to a person.
    pub message: String,
    /// What to go on with.
    pub data: LoginChallenge,
}

/// A sign-in that waits for the second factor.
#[derive(Debug, Object)]
#[oai(example)]
pub struct LoginChallenge {
    /// Opens `/auth/login/mfa` and nothing else.
    pub challenge_token: String,
    /// Its life in seconds.
    pub expires_in: i64,
}

impl ChallengedResponse {
    fn of(data: LoginChallenge) -> Self {
        Self { code: 202, message: "Enter a code of your second factor.".to_owned(), data }
    }
}

impl From<Outcome> for LoginResponse {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::SignedIn(signed_in) => Self::SignedIn(ApiResponse::success(signed_in.into())),
            Outcome::Challenged(challenge) => {
                let data = LoginChallenge {
                    challenge_token: challenge.token,
                    expires_in: challenge.expires_in,
                };
                Self::Challenged(Json(ChallengedResponse::of(data)))
            }
        }
    }
}

impl From<SignedIn> for TokenPair {
    fn from(signed_in: SignedIn) -> Self {
        Self { device_token: Some(signed_in.device_token), ..signed_in.tokens.into() }
    }
}

impl From<LogoutScope> for Scope {
    fn from(scope: LogoutScope) -> Self {
        match scope {
            LogoutScope::Local => Self::Local,
            LogoutScope::Others => Self::Others,
            LogoutScope::Global => Self::Global,
        }
    }
}

impl From<sessions::TokenPair> for TokenPair {
    fn from(pair: sessions::TokenPair) -> Self {
        Self {
            access_token: pair.access_token,
            refresh_token: pair.refresh_token,
            token_type: "Bearer".to_owned(),
            expires_in: pair.expires_in,
            refresh_expires_in: pair.refresh_expires_in,
            device_token: None,
        }
    }
}

/// Operations that make a user known.
pub struct AuthApi;

#[OpenApi(prefix_path = "/auth", tag = "Tag::Auth")]
impl AuthApi {
    /// Register
    ///
    /// Mails a six-digit code to the address. The answer is the same for a known address,
    /// whose owner gets a mail that says so.
    #[oai(path = "/register", method = "post", operation_id = "register_user")]
    async fn register(
        &self,
        origin: Origin,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<RegisterRequest>,
    ) -> Result<Json<Done>, ApiError> {
        let RegisterRequest { email, password, name, locale } = body.0;
        let new = Registration { email: email.0, password: password.0, name, locale };
        accounts::register(core.0, &origin, new).await?;
        Ok(Done::with("We have sent a code to this address."))
    }

    /// Verify the address
    ///
    /// With the code from the mail, which works once and for a short time, and the password of the
    /// registration.
    #[oai(path = "/verify-email", method = "post", operation_id = "verify_email")]
    async fn verify_email(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<VerifyEmailRequest>,
    ) -> Result<Json<Done>, ApiError> {
        let VerifyEmailRequest { email, password, code } = body.0;
        accounts::verify_email(core.0, &origin, &email.0, &password.0, &code).await?;
        Ok(Done::with("The address is verified."))
    }

    /// Ask for a new code
    ///
    /// The answer is the same whether or not there is anything to verify.
    #[oai(path = "/resend-code", method = "post", operation_id = "resend_code")]
    async fn resend_code(
        &self,
        origin: Origin,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<EmailRequest>,
    ) -> Result<Json<Done>, ApiError> {
        accounts::resend_code(core.0, &origin, &body.0.email.0).await?;
        Ok(Done::with("If this address waits for a code, we have sent one."))
    }

    /// Sign in
    ///
    /// Starts a session, or answers 202 where there is a second factor. A wrong password, an unknown
    /// and an unverified address answer the same.
    #[oai(path = "/login", method = "post", operation_id = "login_user")]
    async fn login(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<LoginRequest>,
    ) -> Result<LoginResponse, ApiError> {
        let LoginRequest { email, password, device_name, device_token } = body.0;
        let device = Device { name: device_name, token: device_token.map(|token| token.0) };
        let outcome = sign_in::login(core.0, &origin, &email.0, &password.0, &device).await?;
        Ok(outcome.into())
    }

    /// Exchange a refresh token
    ///
    /// Gives new tokens; the old refresh token is used up. Using it again later ends the session.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh_user_session")]
    async fn refresh(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<RefreshRequest>,
    ) -> Answer<TokenPair> {
        let token = body.0.refresh_token;
        let pair = core.client_sessions.refresh(core.0, &origin, token.expose()).await?;
        Ok(ApiResponse::success(pair.into()))
    }

    /// Sign out
    ///
    /// Ends the session of the token, or what `scope` says.
    #[oai(path = "/logout", method = "post", operation_id = "logout_user")]
    async fn logout(
        &self,
        auth: ClientAuth<Always>,
        core: Data<&Arc<Core>>,
        body: OptionalBody<LogoutRequest>,
    ) -> Result<NoContent, ApiError> {
        let scope = body.0.and_then(|body| body.scope).map_or(Scope::Local, Into::into);
        let (user_id, session_id) = (auth.account_id, auth.session_id);
        own_sessions::log_out(core.0, &auth.origin, user_id, session_id, scope).await?;
        Ok(NoContent::Done)
    }

    /// Ask for a password reset
    ///
    /// Mails a token. The answer is the same whether or not the address has an account.
    #[oai(path = "/forgot-password", method = "post", operation_id = "forgot_password")]
    async fn forgot_password(
        &self,
        origin: Origin,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<EmailRequest>,
    ) -> Result<Json<Done>, ApiError> {
        accounts::forgot_password(core.0, &origin, &body.0.email.0).await?;
        Ok(Done::with("If this address has an account, we have sent a mail."))
    }

    /// Choose a new password
    ///
    /// Ends all sessions of the account.
    #[oai(path = "/reset-password", method = "post", operation_id = "reset_password")]
    async fn reset_password(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<ResetPasswordRequest>,
    ) -> Result<Json<Done>, ApiError> {
        let ResetPasswordRequest { token, new_password } = body.0;
        accounts::reset_password(core.0, &origin, token.expose(), &new_password.0).await?;
        Ok(Done::with("The password is changed. Sign in with it."))
    }
}

impl Example for RegisterRequest {
    fn example() -> Self {
        let password = NewPassword("correct horse battery".into());
        let (name, locale) = (Some("Ada".to_owned()), Some("en-GB".to_owned()));
        Self { email: Email::example(), password, name, locale }
    }
}

impl Example for VerifyEmailRequest {
    fn example() -> Self {
        let password = SecretText("correct horse battery".into());
        Self { email: Email::example(), password, code: "123456".to_owned() }
    }
}

impl Example for EmailRequest {
    fn example() -> Self {
        Self { email: Email::example() }
    }
}

impl Example for LoginRequest {
    fn example() -> Self {
        Self {
            email: Email::example(),
            password: SecretText("correct horse battery".into()),
            device_name: Some("Ada's phone".to_owned()),
            device_token: Some(SecretText("eyJ0eXAiOiJkZXZpY2Urand0In0.e30.c2ln".into())),
        }
    }
}

impl Example for LogoutRequest {
    fn example() -> Self {
        Self { scope: Some(LogoutScope::Local) }
    }
}

impl Example for ChallengedResponse {
    fn example() -> Self {
        Self::of(LoginChallenge::example())
    }
}

impl Example for LoginChallenge {
    fn example() -> Self {
        let token = "eyJ0eXAiOiJjaGFsbGVuZ2Urand0In0.e30.c2ln";
        Self { challenge_token: token.to_owned(), expires_in: 300 }
    }
}

impl Example for RefreshRequest {
    fn example() -> Self {
        Self { refresh_token: SecretText("eyJ0eXAiOiJyZWZyZXNoK2p3dCJ9.e30.c2ln".into()) }
    }
}

impl Example for ResetPasswordRequest {
    fn example() -> Self {
        Self {
            token: SecretText("4f1c…".into()),
            new_password: NewPassword("staple battery horse".into()),
        }
    }
}

impl Example for TokenPair {
    fn example() -> Self {
        Self {
            access_token: "eyJ0eXAiOiJhdCtqd3QifQ.e30.c2ln".to_owned(),
            refresh_token: "eyJ0eXAiOiJyZWZyZXNoK2p3dCJ9.e30.c2ln".to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: 1800,
            refresh_expires_in: 604_800,
            device_token: Some("eyJ0eXAiOiJkZXZpY2Urand0In0.e30.c2ln".to_owned()),
        }
    }
}
