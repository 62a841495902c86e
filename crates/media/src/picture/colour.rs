//! Colours as the web takes them for granted: sRGB. Telephones photograph in wider spaces and say so in a profile that
//! is dropped with the rest of the metadata, so the pixels are converted first.

use image::RgbaImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Converts the pixels from the profile's colours. A profile that cannot be read changes nothing.
pub(super) fn to_srgb(picture: &mut RgbaImage, profile: &[u8]) {
    let Ok(from) = ColorProfile::new_from_slice(profile) else { return };
    if from.color_space != DataColorSpace::Rgb {
        return;
    }
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let Ok(transform) = from.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgba, options) else { return };
    let row = picture.width() as usize * 4;
    let mut converted = vec![0; row];
    // A row at a time, and all or nothing: the first row fails where any would.
    for pixels in picture.chunks_exact_mut(row) {
        if transform.transform(pixels, &mut converted).is_err() {
            return;
        }
        pixels.copy_from_slice(&converted);
    }
}
