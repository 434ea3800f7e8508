//! Types of files that are told by their bytes, whatever their name or sender says.

/// Declares [`FileType`] with its media type.
macro_rules! types {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// The type of a file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FileType { $($name),+ }

        impl FileType {
            /// All that there are. Nothing that a browser would run: neither HTML nor SVG nor scripts.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
            /// Their media types, in the same order.
            pub const NAMES: [&'static str; Self::ALL.len()] = [$($text),+];

            /// As documents, settings and rows have it.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

types! {
    Jpeg = "image/jpeg",
    Png = "image/png",
    Gif = "image/gif",
    Webp = "image/webp",
    Pdf = "application/pdf",
    Zip = "application/zip",
    Text = "text/plain",
    Csv = "text/csv",
    Mp4 = "video/mp4",
    Mp3 = "audio/mpeg",
}

impl FileType {
    /// The type of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.text() == text)
    }

    /// Whether it can do nothing but be seen.
    #[must_use]
    pub fn is_picture(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Gif | Self::Webp)
    }

    /// Whether a file that begins so is one of this type.
    #[must_use]
    pub fn fits(self, start: &[u8]) -> bool {
        let told = infer::get(start).map(|found| found.mime_type());
        match self {
            // No bytes say so, but some say that it is something else.
            Self::Text | Self::Csv => told.is_none() && is_text(start),
            // The library is content with less of these.
            Self::Gif => start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a"),
            Self::Png => start.starts_with(b"\x89PNG\r\n\x1a\n"),
            Self::Pdf => start.starts_with(b"%PDF-"),
            Self::Webp => start.starts_with(b"RIFF") && told == Some(self.text()),
            _ => told == Some(self.text()),
        }
    }
}

/// UTF-8, but for a character that the end cuts off, without control characters but those of lines and columns, and no
/// markup, of which browsers run some.
fn is_text(start: &[u8]) -> bool {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_markup =
        text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('<');
    let is_plain = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{c}');
    !is_markup && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest beginnings that tell.
    fn beginning(kind: FileType) -> &'static [u8] {
        match kind {
            FileType::Jpeg => b"\xff\xd8\xff\xe0\0\x10JFIF\0",
            FileType::Png => b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            FileType::Gif => b"GIF89a\x01\0\x01\0",
            FileType::Webp => b"RIFF\x24\0\0\0WEBPVP8 ",
            FileType::Pdf => b"%PDF-1.7\n",
            FileType::Zip => b"PK\x03\x04\x14\0\0\0\0\0",
            FileType::Text => "Grüße".as_bytes(),
            FileType::Csv => b"name,age\r\nAda,36\r\n",
            FileType::Mp4 => b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41",
            FileType::Mp3 => b"ID3\x04\0\0\0\0\0\0",
        }
    }

    #[test]
    fn each_type_is_told_by_its_bytes_and_from_all_others() {
        for kind in FileType::ALL {
            for other in FileType::ALL {
                // No byte tells these two apart.
                let are_texts = [kind, other].iter().all(|one| one.text().starts_with("text/"));
                let fits = kind == other || are_texts;
                assert_eq!(kind.fits(beginning(*other)), fits, "{kind:?} {other:?}");
            }
            assert_eq!(FileType::parse(kind.text()), Some(*kind));
        }
    }

    #[test]
    fn what_a_browser_would_run_is_of_no_type() {
        let hostile: [&[u8]; 9] = [
            b"<!DOCTYPE html><script>alert(1)</script>",
            b"<html><body onload=alert(1)>",
            b"  \n<script>alert(1)</script>",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>",
            b"<?xml version=\"1.0\"?><svg/>",
            b"#!/bin/sh\nrm -rf /",
            b"MZ\x90\0\x03\0\0\0",
            b"\x7fELF\x02\x01\x01\0",
            b"\xff\xfe<\0s\0c\0r\0i\0p\0t\0>\0",
        ];
        for start in hostile {
            for kind in FileType::ALL {
                assert!(!kind.fits(start), "{kind:?} {:?}", String::from_utf8_lossy(start));
            }
        }
    }

    #[test]
    fn a_text_may_be_cut_off_and_has_no_control_characters() {
        let text = "ä".repeat(10);
        assert!(FileType::Text.fits(&text.as_bytes()[..19]));
        assert!(FileType::Text.fits(b"a\tb\r\nc\x0c"));
        for not in [&b"\0"[..], b"a\x1b[31m", b"\xff\xfe", b"\xc3\x28 and more"] {
            assert!(!FileType::Text.fits(not), "{not:?}");
        }
    }
}
