//! `user_one_time_codes`: codes and tokens that work once, stored as hashes.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::{Conn, schema::user_one_time_codes as codes, text_enum};

text_enum! {
    /// What a code is good for, and nothing else.
    Purpose {
        VerifyEmail = "verify_email",
        ResetPassword = "reset_password",
        ChangeEmail = "change_email",
    }
}

/// What a new row needs.
pub struct NewCode<'a> {
    pub user_id: Uuid,
    pub purpose: Purpose,
    pub hash: &'a [u8],
    /// Where it was mailed to, if that is not the account's address yet.
    pub new_email: Option<&'a str>,
    /// How many wrong tries it survives.
    pub attempts: i32,
    pub expires_at: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

/// Stores a code in place of an older one for the same purpose.
///
/// # Errors
/// When the statement fails.
pub async fn replace(conn: &mut Conn, new: NewCode<'_>) -> QueryResult<()> {
    let fresh = (
        codes::code_hash.eq(new.hash),
        codes::new_email.eq(new.new_email),
        codes::attempts_left.eq(new.attempts),
        codes::expires_at.eq(new.expires_at),
        codes::created_at.eq(new.now),
        codes::updated_at.eq(new.now),
    );
    diesel::insert_into(codes::table)
        .values((codes::user_id.eq(new.user_id), codes::purpose.eq(new.purpose), fresh))
        .on_conflict((codes::user_id, codes::purpose))
        .do_update()
        .set(fresh)
        .execute(conn)
        .await?;
    Ok(())
}

/// What a code that was used up says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    /// Where it was mailed to, if that was not the account's address yet.
    pub new_email: Option<String>,
}

/// Uses a user's code up; `None` when it isn't the current one, too old or tried too often.
///
/// # Errors
/// When the statement fails.
pub async fn consume(
    conn: &mut Conn,
    user_id: Uuid,
    purpose: Purpose,
    hash: &[u8],
    now: DateTime<Utc>,
) -> QueryResult<Option<Consumed>> {
    let used = diesel::delete(codes::table.find((user_id, purpose)))
        .filter(
            codes::code_hash
                .eq(hash)
                .and(codes::expires_at.gt(now))
                .and(codes::attempts_left.gt(0)),
        )
        .returning(codes::new_email)
        .get_result(conn)
        .await
        .optional()?;
    Ok(used.map(|new_email| Consumed { new_email }))
}

/// Whose token it is. Only for tokens that can't be guessed.
///
/// # Errors
/// When the statement fails.
pub async fn owner(
    conn: &mut Conn,
    purpose: Purpose,
    hash: &[u8],
    now: DateTime<Utc>,
) -> QueryResult<Option<Uuid>> {
    codes::table
        .filter(
            codes::code_hash
                .eq(hash)
                .and(codes::purpose.eq(purpose))
                .and(codes::expires_at.gt(now)),
        )
        .select(codes::user_id)
        .first(conn)
        .await
        .optional()
}

/// Deletes all codes of a user.
///
/// # Errors
/// When the statement fails.
pub async fn delete_all(conn: &mut Conn, user_id: Uuid) -> QueryResult<()> {
    diesel::delete(codes::table.filter(codes::user_id.eq(user_id))).execute(conn).await?;
    Ok(())
}

/// Counts a wrong try.
///
/// # Errors
/// When the statement fails.
pub async fn count_attempt(
    conn: &mut Conn,
    user_id: Uuid,
    purpose: Purpose,
    now: DateTime<Utc>,
) -> QueryResult<()> {
    diesel::update(codes::table.find((user_id, purpose)).filter(codes::attempts_left.gt(0)))
        .set((codes::attempts_left.eq(codes::attempts_left - 1), codes::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(())
}
