// @generated automatically by Diesel CLI.

pub mod sql_types {
    #[derive(diesel::sql_types::SqlType)]
    #[diesel(postgres_type(name = "tsvector", schema = "pg_catalog"))]
    pub struct Tsvector;
}

diesel::table! {
    admin_login_challenges (id) {
        id -> Uuid,
        admin_id -> Uuid,
        attempts_left -> Int4,
        device_id -> Nullable<Uuid>,
        device_name -> Nullable<Text>,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    admin_password_resets (admin_id) {
        admin_id -> Uuid,
        token_hash -> Bytea,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    admin_recovery_codes (admin_id, code_hash) {
        admin_id -> Uuid,
        code_hash -> Bytea,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    admin_roles (admin_id, role_id) {
        admin_id -> Uuid,
        role_id -> Uuid,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

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
        authenticated_at -> Nullable<Timestamptz>,
        device_name -> Nullable<Text>,
    }
}

diesel::table! {
    admin_totp (admin_id) {
        admin_id -> Uuid,
        sealed_secret -> Bytea,
        confirmed_at -> Nullable<Timestamptz>,
        last_step -> Nullable<Int8>,
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
        status -> Text,
        status_changed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    audit_logs (created_at, id) {
        id -> Uuid,
        actor_kind -> Text,
        actor_id -> Nullable<Uuid>,
        impersonator_id -> Nullable<Uuid>,
        session_id -> Nullable<Uuid>,
        request_id -> Text,
        action -> Text,
        subject_kind -> Nullable<Text>,
        subject_id -> Nullable<Text>,
        ip_address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        reason -> Nullable<Text>,
        before -> Nullable<Jsonb>,
        after -> Nullable<Jsonb>,
        erased_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    audit_seals (number) {
        number -> Int8,
        ids -> Array<Nullable<Uuid>>,
        details -> Array<Nullable<Bytea>>,
        leaves -> Array<Nullable<Bytea>>,
        last_at -> Nullable<Timestamptz>,
        dropped_before -> Nullable<Timestamptz>,
        anchor_number -> Nullable<Int8>,
        anchor_seal -> Nullable<Bytea>,
        seal -> Bytea,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    audit_unsealed (id) {
        id -> Uuid,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    doomed_objects (prefix) {
        prefix -> Text,
        due_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        upload_id -> Nullable<Text>,
    }
}

diesel::table! {
    file_spaces (id) {
        user_id -> Uuid,
        id -> Uuid,
        files -> Int8,
        bytes -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    files (id) {
        id -> Uuid,
        owner_id -> Uuid,
        purpose -> Text,
        name -> Text,
        content_type -> Text,
        size -> Int8,
        sha256 -> Nullable<Bytea>,
        state -> Text,
        upload_key -> Text,
        key -> Nullable<Text>,
        expires_at -> Nullable<Timestamptz>,
        completed_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        width -> Nullable<Int4>,
        height -> Nullable<Int4>,
        upload_id -> Nullable<Text>,
        part_size -> Nullable<Int8>,
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
    invitation_roles (invitation_id, role_id) {
        invitation_id -> Uuid,
        role_id -> Uuid,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    invitations (id) {
        id -> Uuid,
        email -> Text,
        name -> Text,
        token_hash -> Bytea,
        status -> Text,
        expires_at -> Timestamptz,
        invited_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    job_attempts (job_id, lease) {
        job_id -> Uuid,
        lease -> Int4,
        attempt -> Int4,
        outcome -> Text,
        error -> Nullable<Text>,
        worker_id -> Nullable<Uuid>,
        started_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    job_queues (name) {
        name -> Text,
        paused_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    job_schedules (name) {
        name -> Text,
        is_enabled -> Bool,
        last_tick -> Timestamptz,
        last_job_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    job_workers (id) {
        id -> Uuid,
        host -> Text,
        pid -> Int4,
        slots -> Int4,
        busy -> Int4,
        heartbeat_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    jobs (id) {
        id -> Uuid,
        queue -> Text,
        kind -> Text,
        payload -> Jsonb,
        priority -> Int2,
        state -> Text,
        run_at -> Timestamptz,
        unique_key -> Nullable<Text>,
        attempts -> Int4,
        max_attempts -> Int4,
        lease -> Int4,
        crashes -> Int4,
        is_suspect -> Bool,
        worker_id -> Nullable<Uuid>,
        cancel_requested -> Bool,
        progress -> Int2,
        message -> Nullable<Text>,
        result -> Nullable<Jsonb>,
        last_error -> Nullable<Text>,
        user_id -> Nullable<Uuid>,
        admin_id -> Nullable<Uuid>,
        request_id -> Text,
        started_at -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
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
        user_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    notifications (id) {
        id -> Uuid,
        user_id -> Uuid,
        kind -> Text,
        data -> Jsonb,
        read_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    post_attachments (post_id, file_id) {
        post_id -> Uuid,
        file_id -> Uuid,
        position -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    post_comments (id) {
        id -> Uuid,
        post_id -> Uuid,
        author_id -> Uuid,
        body -> Text,
        html -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    post_count_changes (id) {
        id -> Uuid,
        post_id -> Uuid,
        likes -> Int8,
        comments -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    post_likes (post_id, user_id) {
        post_id -> Uuid,
        user_id -> Uuid,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    post_reports (id) {
        id -> Uuid,
        post_id -> Uuid,
        reporter_id -> Uuid,
        reason -> Text,
        comment -> Nullable<Text>,
        state -> Text,
        decided_by -> Nullable<Uuid>,
        decided_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    post_revisions (id) {
        id -> Uuid,
        post_id -> Uuid,
        title -> Text,
        body -> Text,
        tags -> Array<Nullable<Text>>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::sql_types::Tsvector;

    posts (id) {
        id -> Uuid,
        author_id -> Uuid,
        slug -> Text,
        title -> Text,
        body -> Text,
        html -> Text,
        excerpt -> Text,
        tags -> Array<Nullable<Text>>,
        stage -> Text,
        published_at -> Nullable<Timestamptz>,
        hidden_at -> Nullable<Timestamptz>,
        hidden_reason -> Nullable<Text>,
        deleted_at -> Nullable<Timestamptz>,
        state -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        search -> Tsvector,
        like_count -> Int8,
        comment_count -> Int8,
        cover_id -> Nullable<Uuid>,
        number -> Nullable<Int8>,
    }
}

diesel::table! {
    roles (id) {
        id -> Uuid,
        name -> Text,
        description -> Text,
        permissions -> Array<Nullable<Text>>,
        is_shipped -> Bool,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    setting_versions (id) {
        id -> Uuid,
        name -> Text,
        version -> Int4,
        value -> Jsonb,
        changed_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    tag_count_changes (id) {
        id -> Uuid,
        name -> Text,
        posts -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    tags (name) {
        name -> Text,
        post_count -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    tallies (period, starts_at, metric) {
        period -> Text,
        starts_at -> Timestamptz,
        metric -> Text,
        count -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    user_activity (user_id) {
        user_id -> Uuid,
        active_at -> Timestamptz,
        previous_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    user_login_challenges (id) {
        id -> Uuid,
        user_id -> Uuid,
        attempts_left -> Int4,
        device_id -> Nullable<Uuid>,
        device_name -> Nullable<Text>,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    user_notes (id) {
        id -> Uuid,
        user_id -> Uuid,
        admin_id -> Nullable<Uuid>,
        text -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
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
        new_email -> Nullable<Text>,
    }
}

diesel::table! {
    user_recovery_codes (user_id, code_hash) {
        user_id -> Uuid,
        code_hash -> Bytea,
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
        authenticated_at -> Nullable<Timestamptz>,
        device_name -> Nullable<Text>,
        impersonator_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    user_totp (user_id) {
        user_id -> Uuid,
        sealed_secret -> Bytea,
        confirmed_at -> Nullable<Timestamptz>,
        last_step -> Nullable<Int8>,
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
        locale -> Nullable<Text>,
        time_zone -> Nullable<Text>,
        deletion_due_at -> Nullable<Timestamptz>,
        password_needs_factor -> Bool,
        has_second_factor -> Bool,
        suspended_until -> Nullable<Timestamptz>,
        avatar_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    word_count_changes (id) {
        id -> Uuid,
        post_id -> Uuid,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    words (name) {
        name -> Text,
        post_count -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(admin_login_challenges -> admins (admin_id));
diesel::joinable!(admin_password_resets -> admins (admin_id));
diesel::joinable!(admin_recovery_codes -> admins (admin_id));
diesel::joinable!(admin_roles -> admins (admin_id));
diesel::joinable!(admin_roles -> roles (role_id));
diesel::joinable!(admin_sessions -> admins (account_id));
diesel::joinable!(admin_totp -> admins (admin_id));
diesel::joinable!(file_spaces -> users (user_id));
diesel::joinable!(invitation_roles -> invitations (invitation_id));
diesel::joinable!(invitation_roles -> roles (role_id));
diesel::joinable!(invitations -> admins (invited_by));
diesel::joinable!(job_attempts -> jobs (job_id));
diesel::joinable!(mails -> users (user_id));
diesel::joinable!(notifications -> users (user_id));
diesel::joinable!(post_attachments -> files (file_id));
diesel::joinable!(post_attachments -> posts (post_id));
diesel::joinable!(post_comments -> posts (post_id));
diesel::joinable!(post_comments -> users (author_id));
diesel::joinable!(post_likes -> posts (post_id));
diesel::joinable!(post_likes -> users (user_id));
diesel::joinable!(post_reports -> admins (decided_by));
diesel::joinable!(post_reports -> posts (post_id));
diesel::joinable!(post_reports -> users (reporter_id));
diesel::joinable!(post_revisions -> posts (post_id));
diesel::joinable!(posts -> files (cover_id));
diesel::joinable!(posts -> users (author_id));
diesel::joinable!(user_activity -> users (user_id));
diesel::joinable!(user_login_challenges -> users (user_id));
diesel::joinable!(user_notes -> admins (admin_id));
diesel::joinable!(user_notes -> users (user_id));
diesel::joinable!(user_one_time_codes -> users (user_id));
diesel::joinable!(user_recovery_codes -> users (user_id));
diesel::joinable!(user_sessions -> users (account_id));
diesel::joinable!(user_totp -> users (user_id));
diesel::joinable!(users -> admins (status_changed_by));

diesel::allow_tables_to_appear_in_same_query!(
    admin_login_challenges,
    admin_password_resets,
    admin_recovery_codes,
    admin_roles,
    admin_sessions,
    admin_totp,
    admins,
    audit_logs,
    audit_seals,
    audit_unsealed,
    doomed_objects,
    file_spaces,
    files,
    idempotency_keys,
    invitation_roles,
    invitations,
    job_attempts,
    job_queues,
    job_schedules,
    job_workers,
    jobs,
    mail_pace,
    mails,
    notifications,
    post_attachments,
    post_comments,
    post_count_changes,
    post_likes,
    post_reports,
    post_revisions,
    posts,
    roles,
    setting_versions,
    tag_count_changes,
    tags,
    tallies,
    user_activity,
    user_login_challenges,
    user_notes,
    user_one_time_codes,
    user_recovery_codes,
    user_sessions,
    user_totp,
    users,
    word_count_changes,
    words,
);
