//! Users as staff see them.

pub mod bulk;
pub mod notes;
pub mod security;
pub mod status;

use std::sync::Arc;

use futures_util::Stream;
use uuid::Uuid;

use super::{
    Code, Core, Result,
    audit::{self, Entry, Subject},
    cursors::{ListRequest, Listed},
    email_address::EmailAddress,
    events::UserRegistered,
    export,
    mailed_answers::SendPasswordReset,
};
use crate::db::{
    Origin,
    keyset::Sort,
    search::Frequency,
    users::{self, NewUser, User, UserFilter, UserSort},
};

/// One page of the users that match: two statements, or one by cursor unless a text is searched for.
///
/// # Errors
/// [`Code::ValidationFailed`] for a cursor of another list.
pub async fn list(
    core: &Core,
    filter: &UserFilter,
    request: ListRequest<UserSort>,
) -> Result<Listed<User>> {
    let reading = core.cursors.start(request, filter)?;
    let mut conn = core.db.conn().await?;
    let is_counted = reading.is_counted();
    let total = if is_counted || filter.search.is_some() {
        Some(users::count(&mut conn, filter).await?)
    } else {
        None
    };
    let frequency = total.map_or(Frequency::Rare, |total| Frequency::of(total.rows));
    let rows = users::list(&mut conn, filter, frequency, &reading.window).await?;
    reading.finish(rows, total.filter(|_| is_counted))
}

/// One user.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn get(core: &Core, id: Uuid) -> Result<User> {
    let mut conn = core.db.conn().await?;
    Ok(users::find(&mut conn, id).await?.ok_or(Code::NotFound)?)
}

/// Makes an account for somebody, and mails them a token to choose a password with: who has it has the mailbox.
///
/// # Errors
/// [`Code::EmailTaken`].
pub async fn create(
    core: &Core,
    origin: &Origin,
    email: &EmailAddress,
    name: Option<&str>,
    locale: Option<&str>,
) -> Result<User> {
    let hash = security::unknown_password(core).await?;
    let mut tx = core.db.begin(origin).await?;
    let (id, now) = (core.random.id(tx.now), tx.now);
    let new = NewUser { id, email: email.as_str(), name, locale, password_hash: &hash, now };
    let user = users::insert(&mut tx, new).await?.ok_or(Code::EmailTaken)?;
    core.jobs.publish(core, &mut tx, &UserRegistered { user_id: id }).await?;
    core.jobs.enqueue(core, &mut tx, &SendPasswordReset { user_id: Some(id) }).await?;
    let entry = Entry::new(audit::Action::UserCreated, Subject::User(id)).made(&user);
    audit::record(core, &mut tx, entry).await?;
    tx.commit().await?;
    Ok(user)
}

/// All users that match, the newest first: in pages, which are read as they are asked for.
///
/// # Errors
/// When the database fails.
pub async fn export(
    core: &Arc<Core>,
    origin: &Origin,
    filter: UserFilter,
) -> Result<impl Stream<Item = Result<Vec<User>>> + Send + use<>> {
    let mut tx = core.db.begin(origin).await?;
    audit::record(core, &mut tx, Entry::new(audit::Action::UserExported, None)).await?;
    let total = users::count(&mut tx, &filter).await?;
    tx.commit().await?;
    let frequency = Frequency::of(total.rows);
    let (core, filter) = (core.clone(), Arc::new(filter));
    Ok(export::pages(Sort::by_default(), move |window| {
        let (core, filter) = (core.clone(), filter.clone());
        async move {
            let mut conn = core.db.conn().await?;
            Ok(users::list(&mut conn, &filter, frequency, &window).await?)
        }
    }))
}
