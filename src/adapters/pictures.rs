//! Makes pictures of pictures: what comes out is made of nothing but the pixels of what went in.

use std::{io::Cursor, sync::LazyLock};

use image::{
    DynamicImage, GenericImageView, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
    Rgb, RgbImage,
    codecs::jpeg::JpegEncoder,
    imageops::{self, FilterType},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// More are refused before any is decoded: a few kilobytes can stand for gigabytes of them.
const MAX_PIXELS: u64 = 50_000_000;
/// Longer ones are refused as well: what is scaled takes memory by its sides, not only by its pixels.
const MAX_SIDE: u32 = 16_384;
/// In bytes, of a decoded picture. Decoding one may take twice as much besides, and scaling it once.
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
    #[error("it has {0} × {1} pixels")]
    TooLarge(u32, u32),
    #[error("its pixels take {0} bytes")]
    TooDeep(u64),
    #[error("it can't be read")]
    Unreadable(#[from] ImageError),
    /// It can't be read in a way that nobody thought of.
    #[error("reading it broke off")]
    Broken,
    /// The process ends.
    #[error("the work was given up")]
    GivenUp,
}

/// Makes a picture of one that is JPEG, PNG or WebP: upright, without metadata, on white where it was transparent, the
/// first of those that move.
///
/// # Errors
/// [`PictureError`]
pub async fn remake(bytes: Vec<u8>, shape: Shape) -> Result<Picture, PictureError> {
    in_turn(move || made_of(&bytes, shape)).await
}

async fn in_turn(
    work: impl FnOnce() -> Result<Picture, PictureError> + Send + 'static,
) -> Result<Picture, PictureError> {
    let _turn = TURN.acquire().await.map_err(|_| PictureError::GivenUp)?;
    let made = spawn_blocking(work).await;
    made.map_err(
        |error| {
            if error.is_panic() { PictureError::Broken } else { PictureError::GivenUp }
        },
    )?
}

fn made_of(bytes: &[u8], shape: Shape) -> Result<Picture, PictureError> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(ImageError::from)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS || width.max(height) > MAX_SIDE {
        return Err(PictureError::TooLarge(width, height));
    }
    if decoder.total_bytes() > MAX_MEMORY {
        return Err(PictureError::TooDeep(decoder.total_bytes()));
    }
    let orientation = decoder.orientation()?;
    let picture = DynamicImage::from_decoder(decoder)?;
    let mut picture = match shape {
        Shape::Square(side) => middle(&picture, side),
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

/// The square in the middle, scaled: of the rest nothing is.
fn middle(picture: &DynamicImage, side: u32) -> DynamicImage {
    let (width, height) = picture.dimensions();
    let whole = width.min(height);
    let square = picture.view((width - whole) / 2, (height - whole) / 2, whole, whole);
    imageops::resize(&*square, side, side, FilterType::Triangle).into()
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
    use std::{
        sync::mpsc::{self, RecvTimeoutError},
        time::Duration,
    };

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
    async fn a_square_is_of_the_middle() {
        let colors = [Rgba([255, 0, 0, 255]), Rgba([0, 0, 255, 255])];
        for (width, height) in [(900, 300), (300, 900)] {
            // The middle third of the longer side is blue.
            let picture = image::RgbaImage::from_fn(width, height, |x, y| {
                colors[usize::from((300..600).contains(&x.max(y)))]
            });
            let picture = DynamicImage::from(picture);
            let made = middle(&picture, 30).to_rgba8();
            let first = if width > height { (0, 15) } else { (15, 0) };
            assert_eq!(made.dimensions(), (30, 30));
            assert_eq!(made.get_pixel(15, 15), &colors[1]);
            assert_eq!(made.get_pixel(first.0, first.1), &colors[1]);
        }
    }

    #[tokio::test]
    async fn long_and_deep_ones_are_refused_before_they_take_memory() {
        for (width, height) in [(100_000, 1), (1, 100_000), (16_385, 16)] {
            for shape in [Shape::Square(512), Shape::Within(1600)] {
                remake(png(width, height, [9; 4]), shape).await.expect_err("no picture");
            }
        }
        // As long as they may be, and as narrow.
        let made = remake(png(16_384, 1, [9; 4]), Shape::Square(512)).await.expect("made");
        assert_eq!((made.width, made.height), (512, 512));
        let made = remake(png(1, 16_384, [9; 4]), Shape::Within(1600)).await.expect("made");
        assert_eq!((made.width, made.height), (1, 1600));
        // 42 million pixels of four times 16 bits; its checksum is right, and it has no pixel yet.
        let mut deep = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        deep.extend([0, 0, 0x19, 0x64, 0, 0, 0x19, 0x64, 16, 6, 0, 0, 0, 0x07, 0x8f, 0x6a, 0x44]);
        deep.extend([0, 0, 0, 0, b'I', b'D', b'A', b'T', 0x35, 0xaf, 0x06, 0x1e]);
        let refused = remake(deep, Shape::Square(512)).await.expect_err("no picture");
        assert!(matches!(refused, PictureError::TooDeep(338_000_000)), "{refused}");
        // 64 million pixels, of a byte each.
        let mut wide = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        wide.extend([0, 0, 0x1f, 0x40, 0, 0, 0x1f, 0x40, 8, 0, 0, 0, 0, 0x23, 0x9a, 0xf2, 0x28]);
        wide.extend([0, 0, 0, 0, b'I', b'D', b'A', b'T', 0x35, 0xaf, 0x06, 0x1e]);
        let refused = remake(wide, Shape::Square(512)).await.expect_err("no picture");
        assert!(matches!(refused, PictureError::TooLarge(8000, 8000)), "{refused}");
    }

    #[tokio::test]
    async fn what_breaks_the_work_is_no_reason_to_try_again() {
        let broken = in_turn(|| panic!("a fault of the decoder")).await;
        assert!(matches!(broken, Err(PictureError::Broken)), "{broken:?}");
        // It was somebody's turn, and is the next one's.
        remake(png(9, 9, [9; 4]), Shape::Square(8)).await.expect("made");
    }

    #[tokio::test]
    async fn one_is_made_at_a_time() {
        let (begun, other) = mpsc::channel();
        let first = in_turn(move || match other.recv_timeout(Duration::from_millis(200)) {
            Err(RecvTimeoutError::Timeout) => Err(PictureError::GivenUp),
            _ => Err(PictureError::Broken),
        });
        let second = in_turn(move || {
            let _ = begun.send(());
            Err(PictureError::GivenUp)
        });
        let (first, _) = tokio::join!(first, second);
        assert!(matches!(first, Err(PictureError::GivenUp)), "the other one waits: {first:?}");
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
