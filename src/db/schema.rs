// @generated automatically by Diesel CLI.

diesel::table! {
    admin_sessions (id) {
        id -> Uuid,
        account_id -> Uuid,
        refresh_token_id -> Uuid,
        refresh_token_hash -> Bytea,
        refresh_issued_at -> Timestamptz,
        refresh_expires_at -> Timestamptz,
        previous_refresh_token_hash -> Nullable<Bytea>,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        user_agent -> Nullable<Text>,
        ip_address -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    admins (id) {
        id -> Uuid,
        email -> Text,
        name -> Text,
        password_hash -> Text,
        is_super_admin -> Bool,
        last_login_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    idempotency_keys (key_hash) {
        key_hash -> Bytea,
        fingerprint -> Bytea,
        claim_id -> Uuid,
        leased_until -> Timestamptz,
        answer -> Nullable<Text>,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    mail_pace (only_row) {
        only_row -> Bool,
        next_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    mails (id) {
        id -> Uuid,
        recipient -> Text,
        subject -> Text,
        body -> Nullable<Text>,
        state -> Text,
        attempts -> Int4,
        next_attempt_at -> Timestamptz,
        last_error -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        template -> Nullable<Text>,
        locale -> Nullable<Text>,
        html -> Nullable<Text>,
        template_values -> Nullable<Jsonb>,
        requested_by -> Nullable<Text>,
        requested_by_id -> Nullable<Uuid>,
        request_id -> Nullable<Text>,
        resend_of -> Nullable<Uuid>,
        transport -> Nullable<Text>,
        provider_id -> Nullable<Text>,
        sent_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    user_one_time_codes (user_id, purpose) {
        user_id -> Uuid,
        purpose -> Text,
        code_hash -> Bytea,
        attempts_left -> Int4,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    user_sessions (id) {
        id -> Uuid,
        account_id -> Uuid,
        refresh_token_id -> Uuid,
        refresh_token_hash -> Bytea,
        refresh_issued_at -> Timestamptz,
        refresh_expires_at -> Timestamptz,
        previous_refresh_token_hash -> Nullable<Bytea>,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        user_agent -> Nullable<Text>,
        ip_address -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    users (id) {
        id -> Uuid,
        email -> Text,
        name -> Nullable<Text>,
        password_hash -> Text,
        email_verified_at -> Nullable<Timestamptz>,
        status -> Text,
        status_reason -> Nullable<Text>,
        status_changed_at -> Nullable<Timestamptz>,
        status_changed_by -> Nullable<Uuid>,
        last_login_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(admin_sessions -> admins (account_id));
diesel::joinable!(user_one_time_codes -> users (user_id));
diesel::joinable!(user_sessions -> users (account_id));
diesel::joinable!(users -> admins (status_changed_by));

diesel::allow_tables_to_appear_in_same_query!(
    admin_sessions,
    admins,
    idempotency_keys,
    mail_pace,
    mails,
    user_one_time_codes,
    user_sessions,
    users,
);
