//! A language: of its words the first one is in most texts, and each other one in the fewer the higher its number is (Zipf).

use rand::{RngExt, rngs::StdRng};

/// How many words there are.
pub const COUNT: u32 = 1_000_000;

const CONSONANTS: &[u8] = b"bcdfghjklmnprstv";
const VOWELS: &[u8] = b"aeiou";
const SYLLABLES: u32 = 80;

/// The word of this number, from 0: the more frequent, the shorter.
pub fn word(number: u32) -> String {
    let (mut left, mut text) = (number, String::new());
    loop {
        // Neighbours begin in different ways.
        let syllable = (left % SYLLABLES * 37 + 11) % SYLLABLES;
        text.push(char::from(CONSONANTS[(syllable / 5) as usize]));
        text.push(char::from(VOWELS[(syllable % 5) as usize]));
        left /= SYLLABLES;
        if left == 0 {
            return text;
        }
        left -= 1;
    }
}

/// One of so many, the first ones the more often.
pub fn pick(random: &mut StdRng, count: u32) -> u32 {
    let place = f64::from(count).powf(random.random::<f64>());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to count")]
    let number = place as u32;
    number.clamp(1, count) - 1
}

/// In which part of texts of `length` words the word of this number is.
pub fn frequency(number: u32, length: u32) -> f64 {
    let share = (1.0 / f64::from(number + 1)).ln_1p() / f64::from(COUNT).ln();
    1.0 - (1.0 - share).powf(f64::from(length))
}

/// So many of them, as a text.
pub fn text(random: &mut StdRng, length: u32) -> String {
    let words: Vec<String> = (0..length).map(|_| word(pick(random, COUNT))).collect();
    words.join(" ")
}
