//! The one error of the services, and the catalogue of everything that can go wrong.

use std::{error::Error, time::Duration};

use crate::{adapters::storage::StorageError, db::DbError, telemetry::Backtrace};

/// What kind of failure it is; the edge turns each kind into one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Malformed,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    SlowClient,
    Conflict,
    PreconditionFailed,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    TooMany,
    Unavailable,
    Internal,
    NotConfigured,
}

/// Declares [`Code`] with its number, kind, identifier and message.
macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $kind:ident, $identifier:literal, $message:literal;)+) => {
        /// Everything that can go wrong, as a program sees it.
        ///
        /// Numbers below 1000 are HTTP statuses; those of four digits name outcomes of this product.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[doc = $doc])+ $name),+ }

        impl Code {
            /// The whole catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The number in the envelope's `code`.
            #[must_use]
            pub fn number(self) -> u16 {
                match self { $(Self::$name => $number),+ }
            }

            /// What kind of failure it is.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind),+ }
            }

            /// The stable name in the envelope's `error`.
            #[must_use]
            pub fn identifier(self) -> &'static str {
                match self { $(Self::$name => $identifier),+ }
            }

            /// Safe to show to a person.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self { $(Self::$name => $message),+ }
            }
        }
    };
}

catalogue! {
    /// The body is not JSON, or the request can't be read.
    Malformed = 400, Malformed, "malformed_request", "The request could not be read.";
    /// No token.
    Unauthenticated = 401, Unauthenticated, "unauthenticated", "Sign in to use this operation.";
    /// A token that was never valid here.
    InvalidToken = 401, Unauthenticated, "invalid_token", "The token is not valid here.";
    /// The access token is past its time: refresh it.
    TokenExpired = 401, Unauthenticated, "token_expired", "The token has expired.";
    /// The session was ended by a logout, a change of password or an administrator.
    SessionEnded = 401, Unauthenticated, "session_ended", "The session has ended. Sign in again.";
    /// Signed in, but not allowed.
    Forbidden = 403, Forbidden, "forbidden", "You are not allowed to do this.";
    /// Not there, or not yours.
    NotFound = 404, NotFound, "not_found", "Not found.";
    /// No operation has this path.
    RouteNotFound = 404, NotFound, "route_not_found", "There is no such address.";
    /// The path exists, but not with this method; see the `Allow` header.
    MethodNotAllowed = 405, MethodNotAllowed, "method_not_allowed", "This method is not allowed here.";
    /// The body came too slowly, or stopped coming.
    SlowBody = 408, SlowClient, "body_timeout", "The request came too slowly. Try again.";
    /// `If-Match` names another state than the present one: read it again.
    PreconditionFailed = 412, PreconditionFailed, "precondition_failed", "This has changed meanwhile. Read it again.";
    /// The body is larger than the limit.
    TooLarge = 413, TooLarge, "payload_too_large", "The request is too large.";
    /// The body has a type that is not read here.
    UnsupportedMediaType = 415, UnsupportedMediaType, "unsupported_media_type", "Send the body as application/json.";
    /// The body is compressed in a way that is not read here; see the `Accept-Encoding` header.
    UnsupportedEncoding = 415, UnsupportedMediaType, "unsupported_content_encoding", "Send the body as it is, or compressed by gzip.";
    /// Too many tries, by this client or for this account: try again after `Retry-After`.
    TooManyRequests = 429, TooMany, "too_many_requests", "Too many tries. Wait a moment and try again.";
    /// A fault of the server. The request id finds its cause in the log.
    Internal = 500, Internal, "internal_error", "Something went wrong on our side.";
    /// A dependency is down: try again after `Retry-After`.
    Unavailable = 503, Unavailable, "service_unavailable", "The service is unavailable for the moment. Try again.";
    /// The server has too much to do: try again after `Retry-After`.
    Busy = 503, Unavailable, "server_busy", "The server is busy. Try again.";
    /// This installation has no such part.
    NotConfigured = 501, NotConfigured, "not_configured", "This is not set up here.";
    /// Staff have closed the service for a while: try again after `Retry-After`.
    Maintenance = 1701, Unavailable, "maintenance", "The service is closed for maintenance. Try again later.";
    /// The request took too long: try again after `Retry-After`.
    Timeout = 503, Unavailable, "request_timeout", "The request took too long. Try again.";

    /// Some fields are not valid; `errors` lists every one.
    ValidationFailed = 1001, Invalid, "validation_failed", "Some fields are not valid.";
    /// The address or the password is wrong, or the address is not verified: who could tell the
    /// two apart could find out who has an account, by registering their address.
    InvalidCredentials = 1101, Unauthenticated, "invalid_credentials", "The address or the password is wrong, or the address is not verified.";
    /// An administrator has suspended the account.
    AccountSuspended = 1103, Forbidden, "account_suspended", "This account is suspended.";
    /// The code is wrong, too old, used or was tried too often.
    InvalidCode = 1104, Invalid, "invalid_code", "The code is not valid. Ask for a new one.";
    /// The token of a password reset is wrong, too old or used.
    InvalidResetToken = 1105, Invalid, "invalid_reset_token", "The token is not valid. Ask for a new one.";
    /// An old refresh token was used again: the session is ended, for it may be stolen.
    RefreshTokenReused = 1106, Unauthenticated, "refresh_token_reused", "The session has ended. Sign in again.";
    /// The sign-in that waited for the second factor is over: it took too long, was tried too often
    /// or is done.
    ChallengeEnded = 1110, Unauthenticated, "challenge_ended", "This took too long or was tried too often. Sign in again.";
    /// The code of the second factor, or the recovery code, is wrong or was used before.
    InvalidSecondFactor = 1111, Invalid, "invalid_second_factor", "The code is not valid. Wait for the next one.";
    /// The account has a second factor: the password alone proves nothing.
    SecondFactorRequired = 1112, Forbidden, "second_factor_required", "Enter a code of your second factor.";
    /// Prove first, with `step_up_user` or `step_up_admin`, who you are.
    StepUpRequired = 1113, Forbidden, "step_up_required", "Confirm first that it is you.";
    /// Disable the second factor before another one is set up.
    SecondFactorEnabled = 1114, Conflict, "second_factor_enabled", "A second factor is set up already.";
    /// There is no second factor, or none that waits to be confirmed.
    SecondFactorNotEnabled = 1115, Conflict, "second_factor_not_enabled", "No second factor is set up.";
    /// Choose a longer password first.
    PasswordNeedsFactor = 1116, Conflict, "password_needs_factor", "The password is too short to do without a second factor.";
    /// Set a second factor up: until then nothing else is open.
    SecondFactorSetupRequired = 1117, Forbidden, "second_factor_setup_required", "Set up a second factor first.";
    /// The account is not to be deleted.
    DeletionNotRequested = 1120, Conflict, "deletion_not_requested", "This account is not going to be deleted.";
    /// Only active users can be suspended.
    UserAlreadySuspended = 1201, Conflict, "user_already_suspended", "This user is already suspended.";
    /// Only suspended users can be reactivated.
    UserNotSuspended = 1202, Conflict, "user_not_suspended", "This user is not suspended.";
    /// Restore a deleted user first.
    UserDeleted = 1204, Conflict, "user_deleted", "This user is deleted.";
    /// Only deleted users can be restored.
    UserNotDeleted = 1205, Conflict, "user_not_deleted", "This user is not deleted.";
    /// The address of the user needs no code any more.
    UserAlreadyVerified = 1206, Conflict, "user_already_verified", "The address of this user is verified already.";
    /// Nobody acts as a user who is suspended or deleted.
    UserNotActive = 1207, Conflict, "user_not_active", "This user is not active.";
    /// Staff who act as a user only read, unless a setting allows more, and never do what is about how the user signs in.
    ImpersonationForbidden = 1208, Forbidden, "impersonation_forbidden", "Only the user can do this, nobody who acts as them.";
    /// Another account has this address.
    EmailTaken = 1203, Conflict, "email_taken", "Another account has this address.";
    /// A permission is missing; `errors` names it.
    PermissionDenied = 1210, Forbidden, "permission_denied", "You are not allowed to do this: a permission is missing.";
    /// Roles that come with the product stay as they are.
    RoleShipped = 1211, Conflict, "role_shipped", "Roles that come with the product can't be changed.";
    /// Take it from all who have it first.
    RoleInUse = 1212, Conflict, "role_in_use", "Somebody still has this role.";
    /// Another role has this name.
    RoleNameTaken = 1213, Conflict, "role_name_taken", "Another role has this name.";
    /// Nobody changes what they may do themselves.
    OwnRole = 1214, Forbidden, "own_role", "Nobody can change their own roles.";
    /// What one does to others nobody does to themselves.
    OwnAccount = 1215, Forbidden, "own_account", "Nobody can do this to their own account.";
    /// Somebody must be able to do everything.
    LastSuperAdmin = 1216, Conflict, "last_super_admin", "Nobody else who is active is a super-admin.";
    /// Only active staff can be deactivated.
    AdminAlreadyDeactivated = 1217, Conflict, "admin_already_deactivated", "This account is already deactivated.";
    /// Only deactivated staff can be reactivated.
    AdminNotDeactivated = 1218, Conflict, "admin_not_deactivated", "This account is active.";
    /// Send the one that there is again, or revoke it.
    InvitationPending = 1220, Conflict, "invitation_pending", "This address is invited already.";
    /// It was accepted or revoked.
    InvitationEnded = 1221, Conflict, "invitation_ended", "This invitation was accepted or revoked.";
    /// The token of an invitation is wrong, was used or revoked, or has expired.
    InvalidInvitation = 1222, Invalid, "invalid_invitation", "The invitation is not valid any more. Ask for a new one.";
    /// A job that runs or has ended can't be changed so; or another one does the same.
    JobInOtherState = 1301, Conflict, "job_in_other_state", "The job is in a state that doesn't allow this.";
    /// Work in the background was given up; why stands in the log.
    JobFailed = 1302, Internal, "job_failed", "The work could not be done.";
    /// A key belongs to one request: another one needs a key of its own.
    IdempotencyKeyReused = 1401, Invalid, "idempotency_key_reused", "This idempotency key belongs to another request.";
    /// The first request with this key isn't answered yet: try again after `Retry-After`.
    IdempotencyKeyInFlight = 1402, Conflict, "idempotency_key_in_flight", "The first request with this idempotency key is still at work. Try again.";
    /// Nothing was uploaded by the URL of the file.
    FileNotUploaded = 1801, Conflict, "file_not_uploaded", "The file is not uploaded yet.";
    /// What was uploaded is not what was announced, as `errors` says; it is deleted.
    FileRefused = 1802, Invalid, "file_refused", "The file is not what was announced.";
    /// All files of the user together are too many or too large.
    FileQuotaExceeded = 1803, Conflict, "file_quota_exceeded", "There is no room for this file. Delete others first.";
    /// The upload isn't complete, or what was uploaded is still worked on, or of no use.
    FileNotReady = 1804, Conflict, "file_not_ready", "This file can't be used yet.";
    /// Parts are signed and listed only of a file that is being uploaded so.
    FileNotInParts = 1805, Conflict, "file_not_in_parts", "This file is not being uploaded in parts.";
    /// A file that was announced so is uploaded in parts.
    FileInParts = 1806, Conflict, "file_in_parts", "This file is uploaded in parts.";
    /// A post that is published can't be published again, one that isn't deleted can't be restored, and so on.
    PostInOtherState = 1501, Conflict, "post_in_other_state", "The post is in a state that doesn't allow this.";
    /// Staff look at each report of a user once.
    PostAlreadyReported = 1502, Conflict, "post_already_reported", "You have reported this post. We look at it.";
    /// Somebody was faster.
    ReportDecided = 1503, Conflict, "report_decided", "This report is decided already.";
    /// It held a code or token, of which nothing is kept.
    MailNotRepeatable = 1601, Conflict, "mail_not_repeatable", "What this mail said was not kept. Its recipient can ask for a new one.";
    /// The mail is still to be sent, or tried again.
    MailPending = 1602, Conflict, "mail_pending", "This mail is still on its way.";
}

/// A field that is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// As in `address.city` or `items[2].qty`.
    pub field: String,
    /// A stable name of the rule, such as `required` or `too_long`.
    pub rule: &'static str,
    pub message: String,
}

impl FieldError {
    /// The longest path of a field that is told, in characters: callers make up names.
    const MAX_FIELD: usize = 200;

    /// `rule` for programs, `message` for people.
    #[must_use]
    pub fn new(field: impl Into<String>, rule: &'static str, message: impl Into<String>) -> Self {
        let mut field = field.into();
        if let Some((end, _)) = field.char_indices().nth(Self::MAX_FIELD) {
            field.truncate(end);
        }
        Self { field, rule, message: message.into() }
    }
}

/// A failure with public text and a private cause, which goes to the log only.
#[derive(Debug)]
pub struct ServiceError {
    pub code: Code,
    pub fields: Vec<FieldError>,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// Public text instead of the code's.
    pub message: Option<String>,
    cause: Option<Box<dyn Error + Send + Sync>>,
    /// Of a fault of ours, on a developer's machine.
    pub backtrace: Backtrace,
}

impl std::fmt::Display for ServiceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.identifier())
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl From<Code> for ServiceError {
    fn from(code: Code) -> Self {
        let passes = code.kind() == Kind::Unavailable || code == Code::IdempotencyKeyInFlight;
        let retry_after = passes.then_some(Duration::from_secs(1));
        let backtrace =
            if code.kind() == Kind::Internal { Backtrace::here() } else { Backtrace::default() };
        Self { code, fields: Vec::new(), retry_after, message: None, cause: None, backtrace }
    }
}

impl ServiceError {
    /// Some fields are not valid.
    #[must_use]
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Code::ValidationFailed.into() }
    }

    /// Permissions are missing.
    #[must_use]
    pub fn denied(missing: Vec<FieldError>) -> Self {
        Self { fields: missing, ..Code::PermissionDenied.into() }
    }

    /// Too many tries; the next one has a chance after `wait`.
    #[must_use]
    pub fn too_many(wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Code::TooManyRequests.into() }
    }

    /// The service is closed for so long, of which staff may say something.
    #[must_use]
    pub fn maintenance(message: Option<String>, wait: Duration) -> Self {
        Self { retry_after: Some(wait), message, ..Code::Maintenance.into() }
    }

    /// A fault that nobody outside can do anything about.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::from(Code::Internal).caused_by(cause)
    }

    /// What was uploaded is not what was announced.
    #[must_use]
    pub fn file_refused(fault: FieldError) -> Self {
        Self { fields: vec![fault], ..Code::FileRefused.into() }
    }

    /// Adds what the log should say.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }
}

/// The storage is down, or has other settings than ours.
impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        Self::from(Code::Unavailable).caused_by(error)
    }
}

impl From<DbError> for ServiceError {
    fn from(error: DbError) -> Self {
        let code = match &error {
            DbError::Unavailable(_) => Code::Unavailable,
            DbError::Query(_) => Code::Internal,
        };
        Self::from(code).caused_by(error)
    }
}

impl From<diesel::result::Error> for ServiceError {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn identifiers_and_business_numbers_are_unique() {
        let identifiers: BTreeSet<_> = Code::ALL.iter().map(|code| code.identifier()).collect();
        assert_eq!(identifiers.len(), Code::ALL.len());
        let numbers = || Code::ALL.iter().map(|code| code.number()).filter(|n| *n >= 1000);
        assert_eq!(numbers().collect::<BTreeSet<_>>().len(), numbers().count());
    }
}
