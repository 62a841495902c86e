//! Making pictures smaller. First by a whole number, as an average straight from the decoder's pixels, so that a large
//! picture is never copied; then exactly, with a filter.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, RgbaImage};

/// The size of a picture that is no larger than `side` pixels a side, in its proportions, and no larger than it was.
pub(super) fn within(side: u32, (width, height): (u32, u32)) -> (u32, u32) {
    let longer = width.max(height).max(1);
    if longer <= side {
        return (width, height);
    }
    let scaled = |length: u32| {
        let scaled = (u64::from(length) * u64::from(side) + u64::from(longer) / 2) / u64::from(longer);
        u32::try_from(scaled).unwrap_or(side).clamp(1, side)
    };
    (scaled(width), scaled(height))
}

/// The whole picture in a size that is smaller, or its own. Fails only where the pixels do not fill the picture.
pub(super) fn fit(picture: DynamicImage, (width, height): (u32, u32)) -> Result<RgbaImage, ()> {
    let factor = (picture.width() / width.max(1)).min(picture.height() / height.max(1)).max(1);
    let picture = averaged(picture, factor)?;
    if picture.dimensions() == (width, height) {
        return Ok(picture);
    }
    resized(&picture, width, height)
}

fn resized(picture: &RgbaImage, width: u32, height: u32) -> Result<RgbaImage, ()> {
    let from = ImageRef::new(picture.width(), picture.height(), picture.as_raw(), PixelType::U8x4).map_err(|_| ())?;
    let mut to = Image::new(width, height, PixelType::U8x4);
    // Transparent pixels weigh nothing: it multiplies by alpha and divides again.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(&from, &mut to, &options).map_err(|_| ())?;
    RgbaImage::from_raw(width, height, to.into_vec()).ok_or(())
}

/// Every block of `factor` × `factor` pixels made one; blocks at the right and at the bottom may be smaller.
fn averaged(picture: DynamicImage, factor: u32) -> Result<RgbaImage, ()> {
    let (width, height) = (picture.width(), picture.height());
    let of = |samples: &[u8], channels| average(samples, channels, |sample| u32::from(*sample), width, height, factor);
    let of_deep =
        |samples: &[u16], channels| average(samples, channels, |sample| u32::from(*sample >> 8), width, height, factor);
    match picture {
        DynamicImage::ImageRgba8(picture) if factor == 1 => Ok(picture),
        DynamicImage::ImageRgba8(picture) => of(&picture, 4),
        DynamicImage::ImageRgb8(picture) => of(&picture, 3),
        DynamicImage::ImageLumaA8(picture) => of(&picture, 2),
        DynamicImage::ImageLuma8(picture) => of(&picture, 1),
        DynamicImage::ImageRgba16(picture) => of_deep(&picture, 4),
        DynamicImage::ImageRgb16(picture) => of_deep(&picture, 3),
        DynamicImage::ImageLumaA16(picture) => of_deep(&picture, 2),
        DynamicImage::ImageLuma16(picture) => of_deep(&picture, 1),
        _ => Err(()),
    }
}

/// Sums of a block: red, green and blue times alpha, and alpha. A block has 2¹⁶ pixels at most, so that u64 holds them.
type Sums = [u64; 4];

fn average<S>(
    samples: &[S],
    channels: usize,
    value: impl Fn(&S) -> u32,
    width: u32,
    height: u32,
    factor: u32,
) -> Result<RgbaImage, ()> {
    let (across, down, step) = (width.div_ceil(factor), height.div_ceil(factor), factor as usize);
    let row = width as usize * channels;
    if row == 0 || samples.len() != row * height as usize {
        return Err(());
    }
    let mut out = Vec::with_capacity(across as usize * down as usize * 4);
    let mut sums: Vec<Sums> = vec![[0; 4]; across as usize];
    for rows in samples.chunks(row * step) {
        sums.fill([0; 4]);
        for pixels in rows.chunks_exact(row) {
            for (sums, block) in sums.iter_mut().zip(pixels.chunks(channels * step)) {
                for pixel in block.chunks_exact(channels) {
                    let [red, green, blue, alpha] = rgba(pixel, &value);
                    *sums = [sums[0] + red * alpha, sums[1] + green * alpha, sums[2] + blue * alpha, sums[3] + alpha];
                }
            }
        }
        let height = (rows.len() / row) as u64;
        let mut left = u64::from(width);
        for &[red, green, blue, alpha] in &sums {
            let pixels = height * left.min(u64::from(factor));
            left = left.saturating_sub(u64::from(factor));
            let colour = |sum: u64| ((sum + alpha / 2) / alpha.max(1)).min(255) as u8;
            out.extend([
                colour(red),
                colour(green),
                colour(blue),
                ((alpha + pixels / 2) / pixels.max(1)).min(255) as u8,
            ]);
        }
    }
    RgbaImage::from_raw(across, down, out).ok_or(())
}

fn rgba<S>(pixel: &[S], value: impl Fn(&S) -> u32) -> [u64; 4] {
    let value = |sample: &S| u64::from(value(sample));
    match pixel {
        [red, green, blue, alpha] => [value(red), value(green), value(blue), value(alpha)],
        [red, green, blue] => [value(red), value(green), value(blue), 255],
        [grey, alpha] => [value(grey), value(grey), value(grey), value(alpha)],
        [grey] => [value(grey), value(grey), value(grey), 255],
        _ => [0; 4],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use image::{GrayImage, Rgb, RgbImage, Rgba};

    #[test]
    fn proportions_are_kept_and_nothing_grows() {
        for (size, fitting) in
            [((4000, 3000), (320, 240)), ((1001, 77), (320, 25)), ((100, 50), (100, 50)), ((8192, 1), (320, 1))]
        {
            assert_eq!(within(320, size), fitting);
            let picture = DynamicImage::ImageRgb8(RgbImage::new(size.0, size.1));
            assert_eq!(fit(picture, fitting).unwrap().dimensions(), fitting);
        }
    }

    #[test]
    fn a_block_is_its_average_and_what_is_transparent_has_no_colour() {
        let checks = GrayImage::from_fn(5, 3, |x, y| image::Luma([if (x + y) % 2 == 0 { 200 } else { 100 }]));
        let half = averaged(DynamicImage::ImageLuma8(checks), 2).unwrap();
        assert_eq!(half.dimensions(), (3, 2));
        assert_eq!(half.get_pixel(0, 0), &Rgba([150, 150, 150, 255]));
        assert_eq!(half.get_pixel(2, 1), &Rgba([200, 200, 200, 255]), "a block of one pixel");
        let mut veil = RgbaImage::from_pixel(2, 1, Rgba([255, 0, 0, 255]));
        veil.put_pixel(1, 0, Rgba([0, 255, 0, 0]));
        assert_eq!(averaged(DynamicImage::ImageRgba8(veil), 2).unwrap().get_pixel(0, 0), &Rgba([255, 0, 0, 128]));
    }

    #[test]
    fn colours_survive_both_steps() {
        let blue = DynamicImage::ImageRgb8(RgbImage::from_pixel(3000, 2000, Rgb([10, 20, 240])));
        assert!(fit(blue, (320, 213)).unwrap().pixels().all(|pixel| pixel == &Rgba([10, 20, 240, 255])));
    }
}
