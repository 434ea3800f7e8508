//! Makes pictures of pictures: what comes out is made of nothing but the pixels of what went in.

use std::{io::Cursor, sync::LazyLock};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage,
    codecs::jpeg::JpegEncoder, imageops::FilterType,
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// More are refused before any is decoded: a few kilobytes can stand for gigabytes of them.
const MAX_PIXELS: u64 = 50_000_000;
/// In bytes, of one picture while it is decoded.
const MAX_MEMORY: u64 = 224 * 1024 * 1024;
/// One at a time: each may need that much.
static TURN: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));

/// From 1 to 100: hardly anybody sees the difference to more.
const QUALITY: u8 = 85;

/// What becomes of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A square with sides of this length, of the middle.
    Square(u32),
    /// All of it, no wider and no higher than this, and no larger than it is.
    Within(u32),
}

/// A picture, as JPEG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub bytes: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("it has {0} pixels")]
    TooLarge(u64),
    #[error("it can't be read")]
    Unreadable(#[from] ImageError),
    #[error("the work was given up")]
    GivenUp,
}

/// Makes a picture of one that is JPEG, PNG or WebP: upright, without metadata, on white where it was transparent, the
/// first of those that move.
///
/// # Errors
/// [`PictureError`]
pub async fn remake(bytes: Vec<u8>, shape: Shape) -> Result<Picture, PictureError> {
    let _turn = TURN.acquire().await.map_err(|_| PictureError::GivenUp)?;
    let made = spawn_blocking(move || made_of(&bytes, shape)).await;
    made.map_err(|_| PictureError::GivenUp)?
}

fn made_of(bytes: &[u8], shape: Shape) -> Result<Picture, PictureError> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(ImageError::from)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        return Err(PictureError::TooLarge(pixels));
    }
    let orientation = decoder.orientation()?;
    let picture = DynamicImage::from_decoder(decoder)?;
    let mut picture = match shape {
        Shape::Square(side) => picture.resize_to_fill(side, side, FilterType::Triangle),
        Shape::Within(side) if width.max(height) > side => {
            picture.resize(side, side, FilterType::Triangle)
        }
        Shape::Within(_) => picture,
    };
    picture.apply_orientation(orientation);
    let picture = on_white(&picture);
    let mut bytes = Cursor::new(Vec::new());
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
    Ok(Picture { width: picture.width(), height: picture.height(), bytes: bytes.into_inner() })
}

/// JPEG knows no transparency.
fn on_white(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let picture = picture.to_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0.map(u32::from);
        // Never more than 255.
        let mix =
            |part: u32| u8::try_from((part * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        Rgb([mix(red), mix(green), mix(blue)])
    })
}

/// Whether a file of this type is one that pictures are made of.
#[must_use]
pub fn can_read(content_type: &str) -> bool {
    let readable = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP];
    readable.iter().any(|format| format.to_mime_type() == content_type)
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    fn png(width: u32, height: u32, color: [u8; 4]) -> Vec<u8> {
        let picture = image::RgbaImage::from_pixel(width, height, Rgba(color));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).expect("written");
        bytes.into_inner()
    }

    #[tokio::test]
    async fn shapes_are_kept_and_transparency_is_white() {
        for (size, shape, expected) in [
            ((900, 600), Shape::Square(512), (512, 512)),
            ((8, 4), Shape::Square(512), (512, 512)),
            ((3200, 1600), Shape::Within(1600), (1600, 800)),
            ((800, 3200), Shape::Within(1600), (400, 1600)),
            ((640, 480), Shape::Within(1600), (640, 480)),
        ] {
            let made = remake(png(size.0, size.1, [200, 0, 0, 0]), shape).await.expect("made");
            assert_eq!((made.width, made.height), expected, "{shape:?}");
            let read = image::load_from_memory(&made.bytes).expect("read").to_rgb8();
            assert_eq!(read.dimensions(), expected);
            assert!(read.get_pixel(1, 1).0.iter().all(|part| *part > 250), "white");
        }
    }

    #[tokio::test]
    async fn bombs_and_nonsense_are_refused() {
        // A header that promises 60,000 × 60,000 pixels; its checksum is right.
        let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bomb.extend([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 6, 0, 0, 0, 0x80, 0xd2, 0x75, 0x42]);
        let small = png(9, 9, [1, 2, 3, 255]);
        for bytes in [bomb, small[..small.len() / 2].to_vec(), b"GIF89a".to_vec(), Vec::new()] {
            remake(bytes, Shape::Square(8)).await.expect_err("no picture");
        }
    }
}
