//! A picture: decoded within its limits, turned the right way up, and encoded anew in the sizes that are shown.
//! Colours are brought to sRGB, and whatever else the file says (place, camera, comments, what is appended) is gone.

mod card;
mod colour;
mod scale;
mod whole;

pub use card::{plain_png, png};

use crate::sniff::Format;
use crate::{Caps, Kind, Unfit, decoding, sniff};
use image::codecs::{gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, RgbaImage};
use std::io::Cursor;

/// A picture as it is shown; nothing of the file's own bytes is in it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Of the whole picture, the right way up.
    pub width: u32,
    pub height: u32,
    /// Wolt's BlurHash of 4 × 3 components; of 3 × 4 for what is higher than wide.
    pub blur_hash: String,
    /// `thumb`, `display` and `full`, always all three. None is larger than the picture.
    pub variants: Vec<Variant>,
}

/// One size of a picture.
#[derive(Clone, Debug)]
pub struct Variant {
    /// `thumb` (320 pixels on the longer side at most), `display` (1280) or `full` (2560).
    pub name: &'static str,
    pub mime: &'static str,
    pub width: u32,
    pub height: u32,
    pub bytes: Vec<u8>,
}

/// Name, longer side in pixels, quality of 100; largest first. A smaller one shows its faults less.
const SIZES: [(&str, u32, f32); 3] = [("full", 2560, 84.0), ("display", 1280, 80.0), ("thumb", 320, 76.0)];
/// Side of what the blur hash is made of.
const BLUR_SIDE: u32 = 32;
/// Most bytes that a PNG's colour profile and texts may unfold to; a file's own 25 MB of them do.
const PNG_EXTRAS: u64 = 32 << 20;

/// Decodes a picture and makes what is shown of it. Blocks for up to some seconds; peaks at twice `decode_bytes` and
/// the file, at three times for progressive JPEG.
pub fn picture(bytes: &[u8], caps: &Caps) -> Result<Picture, Unfit> {
    let sniffed = sniff(bytes)?;
    if sniffed.kind != Kind::Picture {
        return Err(Unfit::OtherType { what: "Sound", instead: "Please send a PNG, JPEG, WebP or GIF." });
    }
    if bytes.len() as u64 > caps.picture_bytes {
        return Err(Unfit::TooLarge { most: caps.picture_bytes });
    }
    let format = sniffed.format;
    let what = format.name();
    decoding(what, || {
        let decoded = decode(bytes, format, caps)?;
        let mut size = (decoded.pixels.width(), decoded.pixels.height());
        let largest = scale::within(SIZES[0].1, size);
        let mut shown = scale::fit(decoded.pixels, largest).map_err(|()| Unfit::Broken { what })?;
        if let Some(profile) = decoded.profile {
            colour::to_srgb(&mut shown, &profile);
        }
        let mut shown = DynamicImage::ImageRgba8(shown);
        shown.apply_orientation(decoded.orientation);
        if turned(decoded.orientation) {
            size = (size.1, size.0);
        }
        show(shown.into_rgba8(), size).map_err(|()| Unfit::Broken { what })
    })
}

/// Whether width and height change places.
fn turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}

/// The variants and the blur hash of a picture that is no larger than the largest variant.
fn show(full: RgbaImage, (width, height): (u32, u32)) -> Result<Picture, ()> {
    let mut variants: Vec<Variant> = Vec::with_capacity(SIZES.len());
    let mut shown = full;
    for (name, side, quality) in SIZES {
        let (width, height) = scale::within(side, (width, height));
        shown = scale::fit(DynamicImage::ImageRgba8(shown), (width, height))?;
        let bytes = match variants.last() {
            Some(last) if (last.width, last.height) == (width, height) => last.bytes.clone(),
            _ => encode(&shown, quality)?,
        };
        variants.push(Variant { name, mime: "image/webp", width, height, bytes });
    }
    variants.reverse();
    let size = scale::within(BLUR_SIDE, shown.dimensions());
    let blur = scale::fit(DynamicImage::ImageRgba8(shown), size)?;
    let (across, down) = if height > width { (3, 4) } else { (4, 3) };
    let blur_hash = blurhash::encode(across, down, blur.width(), blur.height(), blur.as_raw()).map_err(|_| ())?;
    Ok(Picture { width, height, blur_hash, variants })
}

fn encode(picture: &RgbaImage, quality: f32) -> Result<Vec<u8>, ()> {
    let encoder = webp::Encoder::from_rgba(picture.as_raw(), picture.width(), picture.height());
    Ok(encoder.encode_simple(false, quality).map_err(|_| ())?.to_vec())
}

struct Decoded {
    pixels: DynamicImage,
    orientation: Orientation,
    /// ICC, where there is one for red, green and blue.
    profile: Option<Vec<u8>>,
}

fn decode(bytes: &[u8], format: Format, caps: &Caps) -> Result<Decoded, Unfit> {
    let what = format.name();
    let broken = |error: ImageError| unfit(what, &error);
    let input = Cursor::new(bytes);
    match format {
        Format::Png => {
            let mut limits = image::Limits::no_limits();
            limits.max_alloc = Some(PNG_EXTRAS);
            pixels(what, PngDecoder::with_limits(input, limits).map_err(broken)?, caps)
        }
        Format::Jpeg => {
            whole::jpeg(bytes)?;
            pixels(what, JpegDecoder::new(input).map_err(broken)?, caps)
        }
        Format::WebP => {
            whole::webp(bytes)?;
            pixels(what, WebPDecoder::new(input).map_err(broken)?, caps)
        }
        Format::Gif => pixels(what, GifDecoder::new(input).map_err(broken)?, caps),
        Format::WebM | Format::Ogg | Format::M4a | Format::Mp3 | Format::Wav => Err(Unfit::UnknownType),
    }
}

/// The pixels of the first frame. Only the header was read so far: what it promises is checked before memory is taken.
fn pixels(what: &'static str, mut decoder: impl ImageDecoder, caps: &Caps) -> Result<Decoded, Unfit> {
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Unfit::Broken { what });
    }
    let each = u64::from(decoder.color_type().bytes_per_pixel());
    if width.max(height) > caps.side || decoder.total_bytes() > caps.decode_bytes {
        let most_pixels = caps.decode_bytes / each.max(1);
        return Err(Unfit::TooManyPixels { width, height, most_side: caps.side, most_pixels });
    }
    // Neither is worth a picture: without them it is shown as it lies.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten().filter(|_| decoder.color_type().has_color());
    let pixels = DynamicImage::from_decoder(decoder).map_err(|error| unfit(what, &error))?;
    Ok(Decoded { pixels, orientation, profile })
}

fn unfit(what: &'static str, error: &ImageError) -> Unfit {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Unfit::Truncated { what },
        _ => Unfit::Broken { what },
    }
}
