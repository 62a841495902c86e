//! A picture as PNG, for those who take no other: the one place where pixels leave in a form that loses nothing of them.

use super::{decode, scale};
use crate::sniff::Kind;
use crate::{Caps, Unfit, decoding, sniff};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};

/// Longer side of a picture as PNG, in pixels.
const SIDE: u32 = 1_280;
/// Of a picture that stands for one.
const PLAIN: (u32, u32) = (400, 600);

/// A picture as PNG, 1,280 pixels on its longer side at most. Blocks, and peaks, as [`crate::picture`].
pub fn png(bytes: &[u8], caps: &Caps) -> Result<Vec<u8>, Unfit> {
    let sniffed = sniff(bytes)?;
    if sniffed.kind != Kind::Picture {
        return Err(Unfit::UnknownType);
    }
    let what = sniffed.format.name();
    decoding(what, || {
        let pixels = decode(bytes, sniffed.format, caps)?.pixels;
        let size = scale::within(SIDE, (pixels.width(), pixels.height()));
        let pixels = scale::fit(pixels, size).map_err(|()| Unfit::Broken { what })?;
        encoded(pixels.as_raw(), pixels.dimensions(), ExtendedColorType::Rgba8).ok_or(Unfit::Broken { what })
    })
}

/// A PNG in one colour that fades downwards, for a character without a picture; the same for the same `seed`.
pub fn plain_png(seed: &str) -> Vec<u8> {
    let sum = seed.bytes().fold(17_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let [red, green, blue, _] = sum.to_le_bytes().map(|part| 70 + u32::from(part) / 3);
    let (width, height) = PLAIN;
    let picture = RgbImage::from_fn(width, height, |_, y| {
        let faded = |part: u32| u8::try_from(part * (2 * height - y) / (2 * height)).unwrap_or(u8::MAX);
        Rgb([faded(red), faded(green), faded(blue)])
    });
    encoded(picture.as_raw(), PLAIN, ExtendedColorType::Rgb8).unwrap_or_default()
}

fn encoded(pixels: &[u8], (width, height): (u32, u32), colour: ExtendedColorType) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    PngEncoder::new(&mut out).write_image(pixels, width, height, colour).ok()?;
    Some(out)
}
