//! Files that are something else than they say, or two things at once, and names that would lead elsewhere: each is either
//! refused or harmless.

use chrono::TimeDelta;
use image::ImageFormat;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    PDF, PNG, Server, Stage, on_both,
    pictures::{holds, picture},
    text,
};
use crate::support::TestApp;

on_both!(
    c22_bytes_of_another_type_are_refused,
    c22_of_two_things_at_once_a_picture_stays,
    c22_names_lead_nowhere,
);

/// What is announced, and what is uploaded: a page, a picture that runs, a script, a program, or just another type.
const MISLABELLED: &[(&str, &[u8])] = &[
    ("image/png", b"<!DOCTYPE html><script>alert(1)</script>"),
    ("image/jpeg", b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>"),
    ("image/webp", b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
    ("image/gif", b"GIF8<script>alert(1)</script>"),
    ("image/png", b"\x89PNG<script>alert(1)</script>"),
    ("image/webp", b"RIFF<script>alert(1)</script>"),
    ("image/jpeg", b"\xff\xd8<script>alert(1)</script>"),
    ("image/png", PDF),
    ("image/jpeg", PNG),
    ("image/png", b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
    ("image/webp", b"RIFF\x24\0\0\0WAVEfmt "),
    ("image/gif", b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0<script>"),
    ("application/pdf", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0"),
    ("application/pdf", b"<script>alert(1)</script>%PDF-1.7"),
    ("application/pdf", b"\n%PDF-1.7"),
    ("application/pdf", b"%!PS-Adobe-3.0 (run) exec"),
    ("application/zip", b"\x7fELF\x02\x01\x01\0\0\0\0\0"),
    ("application/zip", b"Rar!\x1a\x07\x01\0"),
    ("application/zip", b"<html>PK\x03\x04"),
    ("text/plain", b"<html><script>alert(1)</script>"),
    ("text/plain", b"\xef\xbb\xbf \n\t<script>alert(1)</script>"),
    ("text/plain", b"#!/bin/sh\nrm -rf /"),
    ("text/plain", b"\xff\xfe<\0s\0c\0r\0i\0p\0t\0>\0"),
    ("text/plain", b"\x1b]0;title\x07\x1b[2J"),
    ("text/plain", PNG),
    ("text/csv", b"a,b\0"),
    ("text/csv", b"<table><tr><td>=1+1"),
    ("text/csv", b"PK\x03\x04\x14\0\0\0\0\0"),
    ("video/mp4", b"\0\0\0\x18ftypqt  <script>alert(1)</script>"),
    ("video/mp4", b"\x1a\x45\xdf\xa3\x93\x42\x82\x88webm"),
    ("audio/mpeg", b"<script>alert(1)</script>ID3\x04"),
    ("audio/mpeg", b"OggS\0\x02\0\0\0\0\0\0"),
];

/// What is announced and is right, and what a browser, an interpreter or an archiver would take for something else.
const POLYGLOTS: &[(&str, &[u8])] = &[
    ("image/gif", b"GIF89a/*\0\0\0\0\0\0*/=1;alert(1)//;"),
    ("image/gif", b"GIF87a<html><script>alert(1)</script>"),
    ("image/gif", b"GIF89a;<?php system($_GET[0]); ?>"),
    ("image/jpeg", b"\xff\xd8\xff\xfe\0\x20<script>alert(1)</script>\xff\xd9"),
    ("image/jpeg", b"\xff\xd8\xff\xe0\x2f\x2aJFIF\0*/=alert(1);/*\xff\xd9"),
    ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR<svg onload=alert(1)>"),
    ("image/webp", b"RIFF\x24\0\0\0WEBPVP8 <script>alert(1)</script>"),
    ("application/pdf", b"%PDF-1.7\n<script>alert(1)</script>"),
    ("application/pdf", b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>"),
    ("application/pdf", b"%PDF-1.7\nPK\x03\x04\x14\0\0\0\0\0PK\x05\x06"),
    ("application/zip", b"PK\x03\x04\x14\0\0\0\0\0%PDF-1.7\n<script>alert(1)</script>"),
    ("text/plain", b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-"),
    ("text/plain", b"text <script>alert(1)</script>"),
    ("text/plain", b"javascript:/*--></title></style>*/alert(1)"),
    ("text/csv", b"=cmd|'/c calc'!A0,<img src=x onerror=alert(1)>"),
    ("video/mp4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41<script>alert(1)</script>"),
    ("audio/mpeg", b"ID3\x04\0\0\0\0\0\0TIT2<script>alert(1)</script>"),
];

/// Names that no file has.
const REFUSED_NAMES: &[&str] = &[
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/passwd",
    "\\\\server\\share",
    "C:\\Windows\\win.ini",
    "a/b",
    "./a",
    "a\0.png",
    "a\r\nX-Header: y",
    "\u{1b}[31m",
    "\u{85}a",
    "gnp.\u{202e}exe.png",
    "a\u{2066}b\u{2069}",
    "",
];

/// Names that a file may have, and that stay a text.
const HARMLESS_NAMES: &[&str] = &[
    "..",
    ".",
    "....",
    "%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cboot.ini",
    "%00.png",
    "~root",
    "$(id)",
    "`id`",
    "-rf",
    "CON",
    "a.php.png",
    "'; DROP TABLE files; --",
    "<b>.png",
    "\"; filename=\"x.html",
    "..\u{ff0f}..\u{ff0f}etc",
];

/// Completes what is of no use, after which there is nothing of it.
pub async fn assert_refused(stage: &Stage, created: &Value, fields: &[&str]) {
    let id = text(&created["file"]["id"]);
    let json = stage.complete(&id).await.assert_error(422, "file_refused").clone();
    assert_eq!(json["code"], 1802);
    let found = text(&json["errors"][0]["field"]);
    assert!(fields.contains(&found.as_str()), "{json}");
    stage.get(&format!("/{id}")).await.assert_error(404, "not_found");
}

#[test]
fn there_are_many_of_each_kind() {
    let counts = [MISLABELLED, POLYGLOTS].map(<[_]>::len);
    let names = REFUSED_NAMES.len() + HARMLESS_NAMES.len();
    assert!(counts[0] >= 30 && counts[1] + carriers().len() >= 20 && names >= 30);
}

async fn c22_bytes_of_another_type_are_refused(server: Server) {
    let stage = Stage::set(server.app().setting("TWOFOLD_FILES__QUOTA_FILES", "1")).await;
    for (kind, bytes) in MISLABELLED {
        let created = stage.pending(kind, bytes).await;
        stage.upload(&created, bytes).await;
        assert_refused(&stage, &created, &["content_type"]).await;
    }
    // Room was given back each time, and the objects go as well.
    stage.app.clock.advance(TimeDelta::hours(24));
    assert!(stage.wait_for_objects(0).await.is_empty());
}

#[tokio::test]
async fn c22_of_two_things_at_once_a_file_is_saved_as_what_it_says() {
    let stage = Stage::set(TestApp::builder()).await;
    let staff = stage.app.admin_token().await;
    for (kind, bytes) in POLYGLOTS {
        let what = String::from_utf8_lossy(bytes);
        let id = stage.ready(kind, bytes).await;
        let download = stage.download(&id).await;
        assert_eq!((download.status, download.kind.as_str()), (200, *kind), "{what}");
        assert!(download.disposition.starts_with("attachment;"), "{what}");
        assert_eq!(download.bytes, *bytes, "{what}");
        // Nor is it shown to everybody, or to staff as anything but a picture.
        let picture = stage.app.get(&format!("/api/v1/pictures/{id}")).send().await;
        picture.assert_error(404, "not_found");
        let preview = format!("/api/v1/backoffice/files/{id}/preview");
        let preview = stage.app.post(&preview, json!({})).bearer(&staff).send().await.data();
        let shown = stage.http.get(text(&preview["url"])).send().await.expect("an answer");
        assert_eq!(shown.headers()["content-type"], *kind, "{what}");
        let is_inline = shown.headers()["content-disposition"] == "inline";
        assert_eq!(is_inline, kind.starts_with("image/"), "{what}");
    }
}

/// Pictures that carry something: their type, their bytes, and what must not be left of it.
fn carriers() -> Vec<(&'static str, Vec<u8>, &'static [u8])> {
    const SCRIPT: &[u8] = b"<script>alert(1)</script>";
    const PHP: &[u8] = b"<?php system($_GET[0]); ?>";
    const ARCHIVE: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0evil.class";
    let [jpeg, png, webp] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP]
        .map(|format| picture(40, 30, format));
    let mut found = Vec::new();
    for (kind, bytes) in [("image/jpeg", &jpeg), ("image/png", &png), ("image/webp", &webp)] {
        for carried in [SCRIPT, PHP, ARCHIVE] {
            found.push((kind, [bytes, carried].concat(), carried));
        }
    }
    // Within: a comment of JPEG, which may be anything, and a text of PNG, whose checksum nobody looks at.
    for carried in [SCRIPT, PHP] {
        let length = u16::try_from(carried.len() + 2).expect("short").to_be_bytes();
        let comment = [b"\xff\xfe", &length[..], carried].concat();
        found.push(("image/jpeg", [&jpeg[..2], &comment, &jpeg[2..]].concat(), carried));
        let length = u32::try_from(carried.len() + 2).expect("short").to_be_bytes();
        let chunk = [&length[..], b"tEXta\0", carried].concat();
        let sum = crc32(&chunk[4..]).to_be_bytes();
        found.push(("image/png", [&png[..33], &chunk, &sum, &png[33..]].concat(), carried));
    }
    found
}

/// Of PNG.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}

async fn c22_of_two_things_at_once_a_picture_stays(server: Server) {
    let stage = Stage::set(server.app()).await;
    for (kind, bytes, carried) in carriers() {
        let what = format!("{kind} {}", String::from_utf8_lossy(carried));
        assert!(holds(&bytes, carried), "{what}");
        let file = stage.processed("post_cover", kind, &bytes).await;
        assert_eq!(file["state"], "ready", "{what}");
        let url = format!("{}{}", stage.app.base, text(&file["picture_url"]));
        let shown = stage.http.get(url).send().await.expect("an answer");
        assert_eq!(shown.headers()["content-type"], "image/jpeg");
        let shown = shown.bytes().await.expect("read");
        assert!(!holds(&shown, carried), "{what}");
        let seen = image::load_from_memory(&shown).expect("a picture");
        assert_eq!((seen.width(), seen.height()), (40, 30), "{what}");
        assert_eq!(stage.delete(&text(&file["id"])).await, 204);
    }
}

async fn c22_names_lead_nowhere(server: Server) {
    let stage = Stage::set(server.app()).await;
    let named = |name: &str| json!({"name": name, "content_type": "image/png", "size": PNG.len(), "purpose": "attachment"});
    let long = ["x".repeat(256), "ü".repeat(255)];
    for name in REFUSED_NAMES.iter().copied().chain([long[0].as_str()]) {
        let faults = stage.announce(named(name)).await.faults();
        assert_eq!(faults[0].0, "name", "{name:?}: {faults:?}");
    }
    let names: Vec<&str> = HARMLESS_NAMES.iter().copied().chain([long[1].as_str()]).collect();
    for name in &names {
        let created = stage.announce(named(name)).await.data();
        let (file, id) = (&created["file"], text(&created["file"]["id"]));
        assert_eq!(file["name"], *name);
        stage.upload(&created, PNG).await;
        stage.complete(&id).await.data();
        let download = stage.download(&id).await;
        assert_eq!((download.status, download.bytes.as_slice()), (200, PNG));
        if server.knows_overrides() {
            let quotes = download.disposition.matches('"').count();
            assert_eq!(quotes, 2, "{name:?}: {}", download.disposition);
        }
    }
    let hex_or_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '/';
    let keys = stage.objects().await;
    assert_eq!(keys.len(), names.len());
    assert!(
        keys.iter().all(|key| key.starts_with("files/") && key.chars().all(hex_or_word)),
        "{keys:?}"
    );
    let id = text(&stage.get("").await.data()["items"][0]["id"]);
    // Nor does the name of an operation's file.
    for path in ["..", "..%2f..%2fetc", "%2e%2e", "a%00b", &format!("{id}%2f..")] {
        let request = stage.app.request(Method::GET, &format!("{}/{path}/download", super::FILES));
        let status = request.bearer(&stage.token).send().await.status;
        assert!([400, 404, 422].contains(&status), "{path}: {status}");
    }
}
