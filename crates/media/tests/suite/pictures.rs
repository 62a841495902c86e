//! What becomes of good pictures.

use crate::forge::{self, quarters};
use aim_media::{Caps, Picture, Unfit, picture};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

fn caps() -> Caps {
    Caps::default()
}

/// The variant's pixels as a browser would see them.
pub fn shown(picture: &Picture, name: &str) -> RgbaImage {
    let variant = picture.variants.iter().find(|variant| variant.name == name).unwrap();
    assert_eq!(variant.mime, "image/webp");
    let shown = image::load_from_memory_with_format(&variant.bytes, ImageFormat::WebP).unwrap().into_rgba8();
    assert_eq!(shown.dimensions(), (variant.width, variant.height));
    shown
}

/// The colours of the quarters from the upper left to the lower right, by their letters.
pub fn colours(picture: &RgbaImage) -> String {
    let (width, height) = picture.dimensions();
    let corners = [(1, 1), (3, 1), (1, 3), (3, 3)];
    corners
        .map(|(x, y)| {
            let Rgba([red, green, blue, _]) = *picture.get_pixel(width * x / 4, height * y / 4);
            match [red, green, blue].map(|level| level > 127) {
                [true, false, false] => 'r',
                [false, true, false] => 'g',
                [false, false, true] => 'b',
                [true, true, true] => 'w',
                _ => '?',
            }
        })
        .iter()
        .collect()
}

#[test]
fn every_type_becomes_three_sizes_of_webp_and_a_blur() {
    let small = quarters(400, 300);
    for (name, bytes) in [
        ("png", forge::png(&DynamicImage::ImageRgb8(small.clone()))),
        ("jpeg", forge::jpeg(&small)),
        ("webp, lossless", forge::webp_lossless(&small)),
        ("webp, lossy", forge::webp_lossy(&small)),
        ("gif", forge::gif(400, 300, 3)),
        ("animated webp", forge::animated_webp(400, 3)),
    ] {
        let made = picture(&bytes, &caps()).unwrap_or_else(|unfit| panic!("{name}: {unfit}"));
        let sizes: Vec<_> = made.variants.iter().map(|variant| (variant.name, variant.width)).collect();
        assert_eq!(sizes, [("thumb", 320), ("display", 400), ("full", 400)], "{name}");
        for variant in ["thumb", "display", "full"] {
            assert_eq!(colours(&shown(&made, variant)), "rgbw", "{name}, {variant}");
        }
        assert_eq!(made.blur_hash.len(), 28, "{name}: {}", made.blur_hash);
    }
}

#[test]
fn a_large_picture_is_shown_smaller_and_keeps_its_proportions() {
    let bytes = forge::jpeg(&quarters(5400, 1200));
    let made = picture(&bytes, &caps()).unwrap();
    let sizes: Vec<_> = made.variants.iter().map(|variant| (variant.width, variant.height)).collect();
    assert_eq!((made.width, made.height), (5400, 1200));
    assert_eq!(sizes, [(320, 71), (1280, 284), (2560, 569)]);
    assert_eq!(colours(&shown(&made, "full")), "rgbw");
}

#[test]
fn every_orientation_is_turned_the_right_way_up() {
    let lying = forge::jpeg(&quarters(64, 32));
    // What is seen, by the EXIF standard, of a picture that is stored as red, green, blue, white.
    let seen = ["rgbw", "grwb", "wbgr", "bwrg", "rbgw", "brwg", "wgbr", "gwrb"];
    for (orientation, seen) in (1..).zip(seen) {
        let bytes = forge::with_segment(&lying, 0xe1, &forge::exif(orientation));
        let made = picture(&bytes, &caps()).unwrap();
        let size = if orientation < 5 { (64, 32) } else { (32, 64) };
        assert_eq!((made.width, made.height), size, "orientation {orientation}");
        for name in ["thumb", "full"] {
            let shown = shown(&made, name);
            assert_eq!((shown.dimensions(), colours(&shown).as_str()), (size, seen), "orientation {orientation}");
        }
    }
    // The same in a PNG's chunk.
    let png = forge::png(&DynamicImage::ImageRgb8(quarters(64, 32)));
    let made = picture(&forge::with_chunk(&png, b"eXIf", &forge::exif(6)[6..]), &caps()).unwrap();
    assert_eq!((made.width, colours(&shown(&made, "full")).as_str()), (32, "brwg"));
}

#[test]
fn metadata_is_gone() {
    let secret = b"Exif\0\0II*\0\x08\0\0\0\0\0GPS 48.2 N 16.4 E";
    let jpeg = forge::jpeg(&quarters(64, 64));
    let bytes = forge::with_segment(&forge::with_segment(&jpeg, 0xe1, secret), 0xfe, b"GPS in a comment");
    let made = picture(&bytes, &caps()).unwrap();
    for variant in made.variants {
        let holds = |text: &[u8]| variant.bytes.windows(text.len()).any(|window| window == text);
        assert!(!holds(b"GPS") && !holds(b"EXIF") && !holds(b"Exif") && !holds(b"VP8X"), "{}", variant.name);
    }
}

#[test]
fn transparency_and_deep_colours_survive() {
    let glass = RgbaImage::from_fn(64, 64, |x, _| if x < 32 { Rgba([0, 0, 255, 0]) } else { Rgba([0, 0, 255, 255]) });
    let made = picture(&forge::png(&DynamicImage::ImageRgba8(glass)), &caps()).unwrap();
    let full = shown(&made, "full");
    assert_eq!((full.get_pixel(8, 8).0[3], full.get_pixel(56, 8).0[3]), (0, 255));

    let deep = DynamicImage::ImageRgb8(quarters(700, 700)).into_rgb16();
    for deep in [
        DynamicImage::ImageRgb16(deep.clone()),
        DynamicImage::ImageRgba16(DynamicImage::ImageRgb16(deep).into_rgba16()),
    ] {
        assert_eq!(colours(&shown(&picture(&forge::png(&deep), &caps()).unwrap(), "thumb")), "rgbw");
    }
    let grey = DynamicImage::ImageRgb8(quarters(64, 64)).into_luma8();
    let full = shown(&picture(&forge::png(&DynamicImage::ImageLuma8(grey)), &caps()).unwrap(), "full");
    assert!(full.get_pixel(48, 48).0[0] > 250 && full.get_pixel(16, 48).0[0] < 60);
}

#[test]
fn a_wide_profile_is_converted_and_dropped() {
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let picture_of = |colour| DynamicImage::ImageRgb8(RgbImage::from_pixel(64, 64, Rgb(colour)));
    let icc = [b"P3\0\0", &zlib(&profile)[..]].concat();
    let of = |bytes: &[u8]| shown(&picture(bytes, &caps()).unwrap(), "full").get_pixel(32, 32).0;
    // Display P3's (200, 100, 100) is some (215, 95, 95) in sRGB.
    let plain = forge::png(&picture_of([200, 100, 100]));
    let (as_it_lies, converted) = (of(&plain), of(&forge::with_chunk(&plain, b"iCCP", &icc)));
    assert!(
        as_it_lies[0].abs_diff(200) < 5 && converted[0] > 209 && converted[1] < 100,
        "{as_it_lies:?} {converted:?}"
    );
    // Nonsense for a profile changes nothing.
    let nonsense = [b"P3\0\0", &zlib(b"no profile at all, but long enough to look at for a moment")[..]].concat();
    assert_eq!(of(&forge::with_chunk(&plain, b"iCCP", &nonsense)), as_it_lies);
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn odd_shapes_are_pictures_too() {
    for (width, height) in [(1, 1), (8192, 1), (1, 5000), (321, 2), (2561, 3)] {
        let made = picture(&forge::png(&DynamicImage::ImageRgb8(quarters(width, height))), &caps()).unwrap();
        assert_eq!((made.width, made.height), (width, height));
        assert!(made.variants.iter().all(|variant| !variant.bytes.is_empty() && variant.height > 0));
    }
}

#[test]
fn limits_hold_before_pixels_are_made() {
    let png = forge::png(&DynamicImage::ImageRgb8(quarters(300, 200)));
    let with = |change: fn(&mut Caps)| {
        let mut caps = Caps::default();
        change(&mut caps);
        picture(&png, &caps).unwrap_err()
    };
    let pixels = |most_side, most_pixels| Unfit::TooManyPixels { width: 300, height: 200, most_side, most_pixels };
    assert_eq!(with(|caps| caps.side = 299), pixels(299, (128 << 20) / 3));
    assert_eq!(with(|caps| caps.decode_bytes = 300 * 200 * 3 - 1), pixels(8192, 59_999));
    assert_eq!(with(|caps| caps.picture_bytes = 10), Unfit::TooLarge { most: 10 });
}
