//! People who are to become staff.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::{Email as EmailText, Example},
};
use uuid::Uuid;

use super::{Tag, roles::RoleName};
use crate::{
    api::{
        auth::{RecentStaffAuth, StaffAuth},
        body::Body,
        envelope::{Answer, ApiResponse, Done, NoContent, Page},
        error::ApiError,
        idempotency::IdempotencyKey,
        listing::{Cursor, PageNumber, PageSize, SortText, table_request},
        types::{Email, NewPassword, SearchText, SecretText},
    },
    db::{
        Origin,
        invitations::{InvitationFilter, InvitationSort, InvitationStatus, Invited},
    },
    services::{
        Core,
        invitations::{self, NewMember},
        permissions::{AdminsInvite, AdminsRead},
    },
};

/// What became of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ManagedInvitationStatus {
    /// Nothing yet; see `expires_at`.
    Pending,
    Accepted,
    Revoked,
}

/// An invitation to the staff.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ManagedInvitation {
    /// The invitation's identifier.
    pub id: Uuid,
    /// The address that it was mailed to.
    pub email: EmailText,
    /// The person's name.
    pub name: String,
    /// What became of it.
    pub status: ManagedInvitationStatus,
    /// The roles that the person will have.
    pub roles: Vec<RoleName>,
    /// Until when it can be accepted.
    pub expires_at: DateTime<Utc>,
    /// Who invited the person; absent when they are gone.
    #[oai(skip_serializing_if_is_none)]
    pub invited_by: Option<Uuid>,
    /// When it was first mailed.
    pub created_at: DateTime<Utc>,
    /// When it was last mailed, accepted or revoked.
    pub updated_at: DateTime<Utc>,
}

impl From<Invited> for ManagedInvitation {
    fn from(Invited { invitation, roles }: Invited) -> Self {
        Self {
            id: invitation.id,
            email: EmailText(invitation.email),
            name: invitation.name,
            status: match invitation.status {
                InvitationStatus::Pending => ManagedInvitationStatus::Pending,
                InvitationStatus::Accepted => ManagedInvitationStatus::Accepted,
                InvitationStatus::Revoked => ManagedInvitationStatus::Revoked,
            },
            roles: roles.0.into_iter().map(Into::into).collect(),
            expires_at: invitation.expires_at,
            invited_by: invitation.invited_by,
            created_at: invitation.created_at,
            updated_at: invitation.updated_at,
        }
    }
}

impl From<ManagedInvitationStatus> for InvitationStatus {
    fn from(status: ManagedInvitationStatus) -> Self {
        match status {
            ManagedInvitationStatus::Pending => Self::Pending,
            ManagedInvitationStatus::Accepted => Self::Accepted,
            ManagedInvitationStatus::Revoked => Self::Revoked,
        }
    }
}

/// Whom to invite.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct InviteRequest {
    /// The address to mail the invitation to, and later the name to sign in with.
    pub email: Email,
    /// The person's name.
    #[oai(validator(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00]*[^\x00-\x20][^\x00]*$"
    ))]
    pub name: String,
    /// The identifiers of the roles that the person will have: none that give what you may not do yourself.
    #[oai(validator(max_items = 100))]
    pub role_ids: Vec<Uuid>,
}

/// The token of an invitation, and the password of the new account.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct AcceptInvitationRequest {
    /// As it was mailed.
    pub token: SecretText,
    /// The password: at least 12 characters of any kind, unless the settings say otherwise; none that many
    /// others have, and not made of the name or the address.
    pub password: NewPassword,
}

/// Operations on invitations.
pub struct InvitationsApi;

#[OpenApi(prefix_path = "/invitations", tag = "Tag::Staff")]
impl InvitationsApi {
    /// List invitations
    ///
    /// One page of those that fit all filters.
    #[oai(path = "/", method = "get", operation_id = "list_invitations")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the operation")]
    async fn list(
        &self,
        _auth: StaffAuth<AdminsRead>,
        core: Data<&Arc<Core>>,
        /// Which page, from 1; not with a cursor.
        page: Query<Option<PageNumber>>,
        /// How many a page holds.
        #[oai(default)]
        per_page: Query<PageSize>,
        /// The `next_cursor` of the page before, with the same sort and filters.
        cursor: Query<Option<Cursor>>,
        /// How the list is sorted: columns with commas, `-` for descending.
        #[oai(default)]
        sort: Query<SortText<InvitationSort>>,
        /// Part of the address or of the name, in any case.
        #[oai(example = "ada")]
        q: Query<Option<SearchText>>,
        /// Only invitations of which this became.
        #[oai(example = "pending")]
        status: Query<Option<ManagedInvitationStatus>>,
    ) -> Answer<Page<ManagedInvitation>> {
        let request = table_request(page.0, per_page.0, cursor.0, &sort.0)?;
        let filter =
            InvitationFilter { search: q.0.map(|text| text.0), status: status.0.map(Into::into) };
        let found = invitations::list(core.0, &filter, request).await?;
        Ok(ApiResponse::success(found.into()))
    }

    /// Read an invitation
    ///
    /// Never its token.
    #[oai(path = "/:id", method = "get", operation_id = "get_invitation")]
    async fn get(
        &self,
        _auth: StaffAuth<AdminsRead>,
        core: Data<&Arc<Core>>,
        /// The invitation's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedInvitation> {
        Ok(ApiResponse::success(invitations::get(core.0, id.0).await?.into()))
    }

    /// Invite somebody
    ///
    /// Mails a link by which the person chooses a password.
    #[oai(path = "/", method = "post", operation_id = "create_invitation")]
    async fn create(
        &self,
        auth: RecentStaffAuth<AdminsInvite>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        body: Body<InviteRequest>,
    ) -> Answer<ManagedInvitation> {
        let InviteRequest { email, name, role_ids } = body.0;
        let new = NewMember { email: email.0, name, roles: role_ids };
        let invited = invitations::create(core.0, &auth.origin, auth.permissions, new).await?;
        Ok(ApiResponse::success(invited.into()))
    }

    /// Send an invitation again
    ///
    /// With another link; the one before is of no use any more.
    #[oai(path = "/:id/resend", method = "post", operation_id = "resend_invitation")]
    async fn resend(
        &self,
        auth: RecentStaffAuth<AdminsInvite>,
        _key: IdempotencyKey,
        core: Data<&Arc<Core>>,
        /// The invitation's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Answer<ManagedInvitation> {
        let invited = invitations::resend(core.0, &auth.origin, auth.permissions, id.0).await?;
        Ok(ApiResponse::success(invited.into()))
    }

    /// Revoke an invitation
    ///
    /// Its link is of no use any more.
    #[oai(path = "/:id", method = "delete", operation_id = "revoke_invitation")]
    async fn revoke(
        &self,
        auth: StaffAuth<AdminsInvite>,
        core: Data<&Arc<Core>>,
        /// The invitation's identifier.
        #[oai(example = "an_id")]
        id: Path<Uuid>,
    ) -> Result<NoContent, ApiError> {
        invitations::revoke(core.0, &auth.origin, id.0).await?;
        Ok(NoContent::Done)
    }

    /// Accept an invitation
    ///
    /// Makes the account, which can be signed in to from now on. Each token works once.
    #[oai(path = "/accept", method = "post", operation_id = "accept_invitation")]
    async fn accept(
        &self,
        origin: Origin,
        core: Data<&Arc<Core>>,
        body: Body<AcceptInvitationRequest>,
    ) -> Result<Json<Done>, ApiError> {
        let AcceptInvitationRequest { token, password } = body.0;
        invitations::accept(core.0, &origin, token.expose(), &password.0).await?;
        Ok(Done::with("The account is ready. Sign in."))
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn ada() -> Option<SearchText> {
    Some(SearchText("ada".to_owned()))
}

#[expect(clippy::unnecessary_wraps, reason = "as the parameter's type has it")]
fn pending() -> Option<ManagedInvitationStatus> {
    Some(ManagedInvitationStatus::Pending)
}

impl Example for ManagedInvitation {
    fn example() -> Self {
        Self {
            id: an_id(),
            email: EmailText("ada@example.com".to_owned()),
            name: "Ada".to_owned(),
            status: ManagedInvitationStatus::Pending,
            roles: vec![RoleName::example()],
            expires_at: DateTime::UNIX_EPOCH,
            invited_by: Some(an_id()),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Example for InviteRequest {
    fn example() -> Self {
        Self {
            email: Email::example(),
            name: "Ada".to_owned(),
            role_ids: vec![RoleName::example().id],
        }
    }
}

impl Example for AcceptInvitationRequest {
    fn example() -> Self {
        let token = "4f1c9be27d0a35b86e92c1d7f0483a5e6b9d2c8f7a1e04b3d5968c7f2e1a0b9d";
        Self {
            token: SecretText(token.into()),
            password: NewPassword("correct horse battery".into()),
        }
    }
}
