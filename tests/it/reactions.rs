//! What follows from what happens to users.

use serde_json::json;
use twofold::{
    db::Origin,
    services::{mailed_answers, reactions},
};
use uuid::Uuid;

use crate::support::{TestApp, app::PASSWORD, cluster::connect};

const ADA: &str = "ada@example.com";

async fn user_id(app: &TestApp) -> Uuid {
    let db = connect(app.database_url()).await;
    let sql = "SELECT id::text FROM users WHERE email = $1";
    let row = db.query_one(sql, &[&ADA]).await.expect("one user");
    row.get::<_, &str>(0).parse().expect("an id")
}

#[tokio::test]
async fn who_has_verified_an_address_is_welcomed_once() {
    let mut app = TestApp::start().await;
    // Reads the one mail; another one would fail the test at its end.
    app.verified_user(ADA).await;
    let id = user_id(&app).await;
    let job = {
        let db = connect(app.database_url()).await;
        let sql = "SELECT id::text FROM jobs WHERE kind = 'user.send_welcome'";
        let row = db.query_one(sql, &[]).await.expect("one job");
        row.get::<_, &str>(0).parse::<Uuid>().expect("an id")
    };
    // As after the death of a worker that could not say any more that it was done.
    let origin = Origin::system("job");
    reactions::send_welcome(&app.core, &origin, job, id).await.expect("done");
    let nobody = reactions::send_welcome(&app.core, &origin, Uuid::nil(), Uuid::nil()).await;
    nobody.expect("nobody is left to be welcomed");
}

#[tokio::test]
async fn a_reset_that_is_mailed_twice_keeps_its_first_token() {
    let mut app = TestApp::start().await;
    app.verified_user(ADA).await;
    let (id, job, origin) = (user_id(&app).await, Uuid::from_u128(7), Origin::system("job"));
    for _ in 0..2 {
        mailed_answers::send_password_reset(&app.core, &origin, job, Some(id)).await.expect("done");
    }
    let token = app.reset_token_for(ADA).await;
    let body = json!({"token": token, "new_password": format!("{PASSWORD} again")});
    app.post("/api/v1/auth/reset-password", body).send().await.assert_done();
}
