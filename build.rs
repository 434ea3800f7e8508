//! Compiles in every template of mails that there is: a new one, or a new locale, is new files.

fn main() {
    minijinja_embed::embed_templates!("src/services/mails/templates", &[".txt", ".html"]);
}
