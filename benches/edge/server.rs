//! The program under load, with an account on each side.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cores::Cores,
    load::{Exchange, request},
    program::{self, Program},
};

pub struct Server {
    pub program: Program,
    pub address: SocketAddr,
    /// Of the first super-admin.
    pub admin_token: String,
    _dir: TempDir,
}

impl Server {
    /// Starts it with `users` accounts.
    pub async fn start(cores: &Cores, variables: &[(&str, &str)], users: u32) -> Self {
        let dir = program::dir();
        let program = cores.as_server(|| Program::start(dir.path(), variables));
        if users > 0 {
            let count = users.to_string();
            let seeded = program::run(dir.path(), &["seed", "--users", &count], variables);
            assert!(seeded.status.success(), "{}", program::stderr(&seeded));
        }
        let address = program.base.strip_prefix("http://").expect("http").parse().expect("address");
        let password = program.first_password().expect("the first start");
        let body = json!({"email": "admin@example.com", "password": password});
        let login = request("POST", "/api/v1/backoffice/auth/login", None, Some(&body.to_string()));
        let mut exchange = Exchange::connect(address).await.expect("it listens");
        let answer = exchange.send(&login).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let admin_token = answer["data"]["access_token"].as_str().expect("a token").to_owned();
        Self { program, address, admin_token, _dir: dir }
    }

    /// A guarded read of one account.
    pub fn guarded_read(&self) -> Vec<u8> {
        request("GET", "/api/v1/backoffice/auth/me", Some(&self.admin_token), None)
    }
}
