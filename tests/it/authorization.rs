//! Who may call what (OWASP ASVS 5.0, 8.2): every operation of both documents by every identity.
//!
//! A new operation has to be listed in [`OPERATIONS`], a new identity in [`expected`]; without its
//! row the test fails, or doesn't compile.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use twofold::{
    api::{self, Surface},
    db::Origin,
    services::{
        permissions::{Permission, Permissions, ShippedRole},
        sessions::Sessions,
        staff_pages,
        tokens::{Subject, TokenKind},
    },
};
use uuid::Uuid;

use crate::support::{
    TestApp,
    app::{ADMIN, PASSWORD},
    contract,
};

/// Whom an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everybody; a token makes no difference.
    Public,
    /// Everybody; who sends a token must send a good one.
    Reader,
    /// Users, on what is theirs; staff who act as them only read it.
    User,
    /// The same, and nothing of it for staff who act as them.
    Alone,
    /// The same, and all of it for them.
    SignOut,
    /// Staff, also where a second factor is a must and they have none yet.
    Setup,
    /// Staff, on their own account.
    Own,
    /// Staff with the permission that the document names.
    Staff,
}

use Access::{Alone, Own, Public, Reader, Setup, SignOut, Staff, User};

const OPERATIONS: &[(&str, Access)] = &[
    ("register_user", Public),
    ("verify_email", Public),
    ("resend_code", Public),
    ("login_user", Public),
    ("refresh_user_session", Public),
    ("login_user_with_second_factor", Public),
    ("logout_user", SignOut),
    ("list_sessions", User),
    ("end_session", Alone),
    ("step_up_user", Alone),
    ("get_second_factor", User),
    ("begin_totp", Alone),
    ("confirm_totp", Alone),
    ("disable_totp", Alone),
    ("renew_recovery_codes", Alone),
    ("forgot_password", Public),
    ("reset_password", Public),
    ("get_current_user", User),
    ("update_current_user", User),
    ("change_password", Alone),
    ("change_email", Alone),
    ("confirm_email", Alone),
    ("delete_current_user", Alone),
    ("cancel_deletion", Alone),
    ("list_notifications", User),
    ("count_unread_notifications", User),
    ("read_notification", User),
    ("read_all_notifications", User),
    ("create_file", User),
    ("complete_file", User),
    ("list_files", User),
    ("get_file", User),
    ("get_file_download", User),
    ("delete_file", User),
    ("list_posts", Reader),
    ("get_post", Reader),
    ("create_post", User),
    ("update_post", User),
    ("delete_post", User),
    ("restore_post", User),
    ("publish_post", User),
    ("schedule_post", User),
    ("unpublish_post", User),
    ("list_own_posts", User),
    ("report_post", User),
    ("search_posts", Reader),
    ("list_tags", Reader),
    ("get_attachment_download", Reader),
    ("get_post_reactions", Reader),
    ("like_post", User),
    ("unlike_post", User),
    ("list_comments", Reader),
    ("create_comment", User),
    ("delete_comment", User),
    ("list_revisions", User),
    ("restore_revision", User),
    ("upload_file", User),
    ("set_avatar", User),
    ("delete_avatar", User),
    ("get_picture", Public),
    ("create_multipart_file", User),
    ("sign_file_parts", User),
    ("list_file_parts", User),
    ("create_temporary_credentials", Alone),
    ("get_health", Public),
    ("get_release", Public),
    ("login_admin", Public),
    ("login_admin_with_second_factor", Public),
    ("forgot_admin_password", Public),
    ("reset_admin_password", Public),
    ("list_current_admin_sessions", Own),
    ("end_current_admin_session", Own),
    ("list_admin_sessions", Staff),
    ("end_admin_sessions", Staff),
    ("force_admin_password_reset", Staff),
    ("remove_admin_second_factor", Staff),
    ("step_up_admin", Setup),
    ("get_admin_second_factor", Setup),
    ("begin_admin_totp", Setup),
    ("confirm_admin_totp", Setup),
    ("disable_admin_totp", Own),
    ("renew_admin_recovery_codes", Own),
    ("refresh_admin_session", Public),
    ("logout_admin", Setup),
    ("get_current_admin", Own),
    ("change_admin_password", Own),
    ("list_admins", Staff),
    ("get_admin", Staff),
    ("update_admin", Staff),
    ("deactivate_admin", Staff),
    ("reactivate_admin", Staff),
    ("delete_admin", Staff),
    ("list_invitations", Staff),
    ("get_invitation", Staff),
    ("create_invitation", Staff),
    ("resend_invitation", Staff),
    ("revoke_invitation", Staff),
    ("accept_invitation", Public),
    ("list_permissions", Staff),
    ("list_roles", Staff),
    ("get_role", Staff),
    ("create_role", Staff),
    ("update_role", Staff),
    ("delete_role", Staff),
    ("list_users", Staff),
    ("get_user", Staff),
    ("suspend_user", Staff),
    ("reactivate_user", Staff),
    ("create_user", Staff),
    ("export_users", Staff),
    ("update_user", Staff),
    ("delete_user", Staff),
    ("restore_user", Staff),
    ("verify_user", Staff),
    ("resend_user_code", Staff),
    ("force_password_reset", Staff),
    ("remove_user_second_factor", Staff),
    ("list_user_sessions", Staff),
    ("end_user_session", Staff),
    ("end_user_sessions", Staff),
    ("impersonate_user", Staff),
    ("end_impersonation", Staff),
    ("list_user_notes", Staff),
    ("create_user_note", Staff),
    ("delete_user_note", Staff),
    ("suspend_users", Staff),
    ("reactivate_users", Staff),
    ("delete_users", Staff),
    ("restore_users", Staff),
    ("end_sessions_of_users", Staff),
    ("list_all_posts", Staff),
    ("get_any_post", Staff),
    ("list_post_comments", Staff),
    ("delete_any_comment", Staff),
    ("hide_post", Staff),
    ("restore_hidden_post", Staff),
    ("erase_post", Staff),
    ("hide_posts", Staff),
    ("restore_hidden_posts", Staff),
    ("erase_posts", Staff),
    ("list_reports", Staff),
    ("get_report", Staff),
    ("resolve_report", Staff),
    ("dismiss_report", Staff),
    ("list_mails", Staff),
    ("get_mail", Staff),
    ("resend_mail", Staff),
    ("send_test_mail", Staff),
    ("list_mail_templates", Staff),
    ("preview_mail_template", Staff),
    ("list_jobs", Staff),
    ("get_job", Staff),
    ("retry_job", Staff),
    ("cancel_job", Staff),
    ("discard_job", Staff),
    ("retry_failed_jobs", Staff),
    ("list_managed_files", Staff),
    ("get_managed_file", Staff),
    ("preview_managed_file", Staff),
    ("delete_managed_file", Staff),
    ("list_file_usage", Staff),
    ("list_orphans", Staff),
    ("create_staff_credentials", Staff),
    ("list_audit_logs", Staff),
    ("get_audit_log", Staff),
    ("export_audit_logs", Staff),
    ("get_release_settings", Staff),
    ("change_release_settings", Staff),
    ("list_release_settings", Staff),
    ("get_maintenance_settings", Staff),
    ("change_maintenance_settings", Staff),
    ("list_maintenance_settings", Staff),
    ("get_dashboard", Staff),
    ("get_queues", Staff),
    ("pause_queue", Staff),
    ("resume_queue", Staff),
    ("list_schedules", Staff),
    ("change_schedule", Staff),
    ("run_schedule", Staff),
];

macro_rules! identities {
    ($($(#[doc = $doc:literal])* $name:ident),+ $(,)?) => {
        /// Who sends a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Identity { $($(#[doc = $doc])* $name),+ }

        impl Identity {
            const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

identities! {
    /// No token.
    Anonymous,
    /// Something that is no token.
    Stranger,
    /// A user who asks for what is theirs.
    Owner,
    /// A user beside the owner.
    OtherUser,
    /// A user with a token from before the suspension.
    SuspendedUser,
    /// A user whose access token is past its time.
    ExpiredUser,
    /// A user who has signed out.
    SignedOutUser,
    /// A user who sends the refresh token.
    UserRefreshToken,
    /// A member of the staff who acts as the owner.
    Impersonator,
    /// One who has signed out meanwhile.
    SignedOutImpersonator,
    /// A super-admin.
    SuperAdmin,
    /// Staff with each of the other shipped roles.
    AdminRole,
    SupportRole,
    ModeratorRole,
    AuditorRole,
    /// A member of the staff without any role.
    NoRole,
    ExpiredAdmin,
    SignedOutAdmin,
    AdminRefreshToken,
    /// A member of the staff who sends the cookie of pages.
    AdminPageToken,
}

impl Identity {
    /// The shipped role that they have, and what they may do by it; `None`: they are no staff who are signed in.
    fn role(self) -> Option<(&'static str, Permissions)> {
        let name = match self {
            Self::SuperAdmin => "super-admin",
            Self::AdminRole => "admin",
            Self::SupportRole => "support",
            Self::ModeratorRole => "moderator",
            Self::AuditorRole => "auditor",
            Self::NoRole => return Some(("", Permissions::default())),
            _ => return None,
        };
        Some((name, ShippedRole::named(name).expect("shipped").permissions))
    }
}

/// How an identity is refused; `None`: it is let in. `permission` is what the document asks for.
#[expect(clippy::match_same_arms, reason = "a table, a block for each kind of operation")]
fn expected(
    access: Access,
    method: &Method,
    permission: Option<Permission>,
    identity: Identity,
) -> Option<(u16, &'static str)> {
    use Identity::*;
    let not_valid_here = Some((401, "invalid_token"));
    if let (Setup | Own | Staff, Some((_, permissions))) = (access, identity.role()) {
        let is_allowed = permission.is_none_or(|permission| permissions.has(permission));
        return (!is_allowed).then_some((403, "permission_denied"));
    }
    match (access, identity) {
        (Public, _) | (Reader, Anonymous) => None,
        (User | Alone | SignOut | Setup | Own | Staff, Anonymous) => Some((401, "unauthenticated")),
        (
            Reader | User | Alone | SignOut | Setup | Own | Staff,
            Stranger | UserRefreshToken | AdminRefreshToken | AdminPageToken,
        ) => not_valid_here,

        (Reader | User | Alone | SignOut, Owner | OtherUser) => None,
        (Reader | User | Alone | SignOut, SuspendedUser) => Some((403, "account_suspended")),
        (Reader | User | Alone | SignOut, ExpiredUser) => Some((401, "token_expired")),
        (Reader | User | Alone | SignOut, SignedOutUser | SignedOutImpersonator) => {
            Some((401, "session_ended"))
        }
        (SignOut, Impersonator) => None,
        (Reader | User, Impersonator) if method.is_safe() => None,
        (Reader | User | Alone, Impersonator) => Some((403, "impersonation_forbidden")),
        (
            Reader | User | Alone | SignOut,
            SuperAdmin | AdminRole | SupportRole | ModeratorRole | AuditorRole | NoRole
            | ExpiredAdmin | SignedOutAdmin,
        ) => not_valid_here,

        (
            Setup | Own | Staff,
            Owner
            | OtherUser
            | SuspendedUser
            | ExpiredUser
            | SignedOutUser
            | Impersonator
            | SignedOutImpersonator,
        ) => not_valid_here,
        (Setup | Own | Staff, ExpiredAdmin) => Some((401, "token_expired")),
        (Setup | Own | Staff, SignedOutAdmin) => Some((401, "session_ended")),
        (
            Setup | Own | Staff,
            SuperAdmin | AdminRole | SupportRole | ModeratorRole | AuditorRole | NoRole,
        ) => {
            unreachable!("decided by the permission")
        }
    }
}

const OWNER: &str = "ada@example.com";
const OTHER: &str = "bob@example.com";

struct World {
    app: TestApp,
    suspended: String,
    /// Of the owner.
    owner_id: String,
}

impl World {
    async fn make() -> Self {
        let mut app = TestApp::start().await;
        app.add_admin().await;
        for role in Identity::ALL.iter().filter_map(|identity| identity.role()) {
            let roles: Vec<&str> = [role.0].into_iter().filter(|name| !name.is_empty()).collect();
            app.add_staff(&staff_with(role.0), &roles).await;
        }
        app.verified_user(OWNER).await;
        app.verified_user(OTHER).await;
        let suspended = app.user_token("eve@example.com").await;
        let admin = text(&app.admin_login().await["access_token"]);
        let users = app.get("/api/v1/backoffice/users?sort=-created_at").bearer(&admin);
        let users = users.send().await.data();
        let [id, owner_id] = [0, 2].map(|at| text(&users["items"][at]["id"]));
        let path = format!("/api/v1/backoffice/users/{id}/suspend");
        let suspend = app.post(&path, json!({"reason": "Just a test."})).bearer(&admin);
        assert_eq!(suspend.send().await.data()["email"], "eve@example.com");
        Self { app, suspended, owner_id }
    }

    /// A token of a session that nothing else uses.
    async fn token(&self, identity: Identity) -> Option<String> {
        use Identity::*;
        let app = &self.app;
        let access = |tokens: Value| text(&tokens["access_token"]);
        Some(match identity {
            Anonymous => return None,
            Stranger => "e30.e30.e30".to_owned(),
            Owner => access(app.login(OWNER).await),
            OtherUser => access(app.login(OTHER).await),
            SuspendedUser => self.suspended.clone(),
            ExpiredUser => self.expired(&app.core.client_sessions),
            SignedOutUser => {
                let token = access(app.login(OTHER).await);
                self.sign_out("/api/v1/auth/logout", &token).await;
                token
            }
            Impersonator => self.act_as_owner(&access(app.admin_login().await)).await,
            SignedOutImpersonator => {
                let admin = access(app.admin_login().await);
                let token = self.act_as_owner(&admin).await;
                self.sign_out("/api/v1/backoffice/auth/logout", &admin).await;
                token
            }
            UserRefreshToken => text(&app.login(OWNER).await["refresh_token"]),
            SuperAdmin | AdminRole | SupportRole | ModeratorRole | AuditorRole | NoRole => {
                let (role, _) = identity.role().expect("it has one");
                access(app.staff_login(&staff_with(role)).await)
            }
            ExpiredAdmin => self.expired(&app.core.staff_sessions),
            SignedOutAdmin => {
                let token = access(app.admin_login().await);
                self.sign_out("/api/v1/backoffice/auth/logout", &token).await;
                token
            }
            AdminRefreshToken => text(&app.admin_login().await["refresh_token"]),
            AdminPageToken => {
                let (origin, email) = (Origin::system("test"), ADMIN.parse().expect("an address"));
                let password = PASSWORD.into();
                let opened =
                    staff_pages::sign_in(&app.core, &origin, &email, &password, None, None).await;
                opened.expect("signed in").token.token
            }
        })
    }

    async fn act_as_owner(&self, admin: &str) -> String {
        let path = format!("/api/v1/backoffice/users/{}/impersonate", self.owner_id);
        let body = json!({"reason": "Just a test."});
        let token = self.app.post(&path, body).bearer(admin).send().await.data();
        text(&token["access_token"])
    }

    async fn sign_out(&self, path: &str, token: &str) {
        let answer = self.app.request(Method::POST, path).bearer(token).send().await;
        assert_eq!(answer.status, 204);
    }

    fn expired(&self, sessions: &Sessions) -> String {
        let core = &self.app.core;
        let now = core.clock.now();
        let subject = Subject { account_id: core.random.id(now), session_id: core.random.id(now) };
        let (from, to) = (now - TimeDelta::hours(2), now - TimeDelta::hours(1));
        let id = core.random.id(now);
        sessions.tokens.sign(TokenKind::Access, subject, id, from, to).expect("signed")
    }
}

/// The address of the member of the staff with a role.
fn staff_with(role: &str) -> String {
    format!("staff-{role}@example.com")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// An operation of either document.
struct Described {
    id: String,
    surface: Surface,
    method: Method,
    path: String,
    needs_token: bool,
    permission: Option<Permission>,
    /// Of its body.
    example: Option<Value>,
}

fn operations() -> Vec<Described> {
    let mut found = Vec::new();
    for document in api::documents(None) {
        let json: Value = serde_json::from_str(&document.text).expect("JSON");
        for operation in document.operations() {
            let described = &json["paths"][&operation.path][operation.method.to_lowercase()];
            let bodies = described["requestBody"]["content"].as_object();
            let body = bodies.and_then(|types| types.values().next());
            let parse = |text: String| Permission::parse(&text).expect("a permission");
            found.push(Described {
                id: operation.operation_id.clone(),
                surface: document.surface,
                method: operation.method.parse().expect("a method"),
                path: operation.path,
                needs_token: operation.needs_token,
                permission: operation.permission.map(parse),
                example: body.map(|body| contract::example(&json, &body["schema"])),
            });
        }
    }
    found
}

#[test]
fn c15_every_operation_is_listed_with_whom_it_is_for() {
    let listed: BTreeSet<&str> = OPERATIONS.iter().map(|(id, _)| *id).collect();
    let operations = operations();
    let documented: BTreeSet<&str> = operations.iter().map(|found| found.id.as_str()).collect();
    assert_eq!(listed, documented);
    for Described { id, surface, needs_token, permission, .. } in &operations {
        let access = OPERATIONS.iter().find(|(listed, _)| listed == id).expect("listed").1;
        let is_open = [Public, Reader].contains(&access);
        assert_eq!(*needs_token, !is_open, "{id}: the document says otherwise");
        // Nothing of the backoffice but what the list names can do without.
        assert_eq!(permission.is_some(), access == Staff, "{id}: a permission");
        match surface {
            Surface::Client => assert!(![Setup, Own, Staff].contains(&access), "{id}"),
            Surface::Backoffice => {
                assert!(![Reader, User, Alone, SignOut].contains(&access), "{id}");
            }
        }
    }
}

/// Nobody gets further than they should, whatever else is wrong with the request.
#[tokio::test]
async fn c15_every_identity_is_let_in_or_refused_as_the_table_says() {
    let world = World::make().await;
    for Described { id, method, path, permission, example, .. } in operations() {
        let access = OPERATIONS.iter().find(|(listed, _)| *listed == id).expect("listed").1;
        let paths =
            [Uuid::nil().to_string(), "no-id".to_owned()].map(|id| path.replace("{id}", &id));
        for &identity in Identity::ALL {
            let token = world.token(identity).await;
            let send = |path: &str, body: Option<&Value>| {
                let request = world.app.request(method.clone(), path);
                let request = match &token {
                    Some(token) => request.bearer(token),
                    None => request,
                };
                match body {
                    Some(body) => request.json(body).send(),
                    None => request.send(),
                }
            };
            let at = format!("{id} by {identity:?}");
            let bad = json!({"surely_unknown": 1});
            let Some((status, error)) = expected(access, &method, permission, identity) else {
                let answer = send(&paths[0], example.is_some().then_some(&bad)).await;
                let is_refused = [401, 403].contains(&answer.status);
                // 501 says what isn't set up here.
                let is_fault = answer.status >= 500 && answer.status != 501 && id != "get_health";
                let is_lost = answer.text.contains("route_not_found");
                assert!(!is_refused && !is_fault && !is_lost, "{at}: {}", answer.text);
                let is_foreign = identity == Identity::OtherUser && access == User;
                assert!(!is_foreign || !answer.text.contains(OWNER), "{at}: {}", answer.text);
                continue;
            };
            for path in &paths {
                for body in [None, Some(&bad), example.as_ref()] {
                    let answer = send(path, body).await;
                    let found = answer.json()["error"].as_str().map(str::to_owned);
                    assert_eq!((answer.status, found.as_deref()), (status, Some(error)), "{at}");
                }
            }
        }
    }
    // The accounts still have the password that they had.
    let body = json!({"email": OWNER, "password": PASSWORD});
    world.app.post("/api/v1/auth/login", body).send().await.data();
}

/// Where a second factor is a must, who has none yet is let in to set it up, and nowhere else.
#[tokio::test]
async fn c15_staff_without_their_second_factor_do_nothing_but_set_it_up() {
    let app = TestApp::builder().setting("TWOFOLD_STAFF__REQUIRE_SECOND_FACTOR", "true");
    let app = app.start().await;
    app.add_admin().await;
    for Described { id, surface, method, path, example, .. } in operations() {
        let access = OPERATIONS.iter().find(|(listed, _)| *listed == id).expect("listed").1;
        if surface != Surface::Backoffice || access == Public {
            continue;
        }
        let token = text(&app.admin_login().await["access_token"]);
        let path = path.replace("{id}", &Uuid::nil().to_string());
        let bad = json!({"surely_unknown": 1});
        let bodies = if access == Setup { [Some(&bad), None] } else { [example.as_ref(), None] };
        for body in bodies {
            let request = app.request(method.clone(), &path).bearer(&token);
            let request = match body {
                Some(body) => request.json(body),
                None => request,
            };
            let answer = request.send().await;
            if access == Setup {
                assert!(![401, 403].contains(&answer.status), "{id}: {}", answer.text);
                break;
            }
            answer.assert_error(403, "second_factor_setup_required");
        }
    }
}
