//! Every mail with its sample, as `tests/mails/<locale>/` has it. After a change that is meant,
//! `TWOFOLD_WRITE_MAILS=1 cargo test --test it mail_templates` writes them anew: look at the difference.

use std::{collections::BTreeSet, env, fs, path::Path};

use twofold::services::mails::{Template, Templates};

#[test]
fn mails_look_as_they_did() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mails");
    let (templates, is_written) =
        (Templates::new("Twofold"), env::var_os("TWOFOLD_WRITE_MAILS").is_some());
    let mut known = BTreeSet::new();
    for template in Template::ALL {
        for locale in templates.locales(template) {
            let mail = templates.render_sample(template, locale).expect("renders");
            let text = format!("Subject: {}\n\n{}", mail.subject, mail.text);
            for (extension, content) in [("txt", text), ("html", mail.html)] {
                let path = root.join(locale).join(format!("{}.{extension}", template.name()));
                if is_written {
                    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
                    fs::write(&path, &content).expect("written");
                }
                let kept = fs::read_to_string(&path).unwrap_or_default();
                assert!(kept == content, "{} has changed:\n{content}", path.display());
                known.insert(path);
            }
        }
    }
    for locale in fs::read_dir(root).expect("a folder").flatten() {
        for file in fs::read_dir(locale.path()).expect("a folder").flatten() {
            assert!(known.contains(&file.path()), "{} is of no mail", file.path().display());
        }
    }
}

#[test]
fn the_html_stands_alone_and_reads_well_everywhere() {
    let templates = Templates::new("Twofold");
    for template in Template::ALL {
        for locale in templates.locales(template) {
            let html = templates.render_sample(template, locale).expect("renders").html;
            // What is to be opened by hand loads nothing.
            let links = template.sample().iter().filter(|(name, _)| *name == "link");
            let html = links
                .fold(html, |html, (_, link)| html.replace(&link.replace('/', "&#x2f;"), "LINK"));
            // Nothing is loaded from elsewhere, which would tell who reads a mail and when.
            for foreign in ["<img", "<link", "<script", "url(", "@import", "http:", "https:"] {
                assert!(!html.contains(foreign), "{template:?}: {foreign}");
            }
            for wanted in [
                format!("<html lang=\"{locale}\">"),
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                    .to_owned(),
                "<meta name=\"color-scheme\" content=\"light dark\">".to_owned(),
                "prefers-color-scheme: dark".to_owned(),
            ] {
                assert!(html.contains(&wanted), "{template:?}: {wanted}");
            }
            let tables = html.matches("<table").count();
            assert_eq!(
                html.matches("<table role=\"presentation\"").count(),
                tables,
                "{template:?}"
            );
            assert_eq!(html.matches("<h1").count(), 1, "{template:?}");
        }
    }
}
