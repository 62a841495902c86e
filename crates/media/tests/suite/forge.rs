//! Makes files: good ones, and the pieces of bad ones.

use flate2::{Compress, Compression, Crc, FlushCompress};
use image::codecs::{gif::GifEncoder, jpeg::JpegEncoder, webp::WebPEncoder};
use image::{Delay, DynamicImage, ExtendedColorType, Frame, ImageEncoder, ImageFormat, Rgb, RgbImage, RgbaImage};
use std::io::Cursor;
use std::process::Command;

/// A picture whose quarters are red, green, blue and white, from the upper left to the lower right.
pub fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb(match (x * 2 < width, y * 2 < height) {
            (true, true) => [255, 0, 0],
            (false, true) => [0, 255, 0],
            (true, false) => [0, 0, 255],
            (false, false) => [255, 255, 255],
        })
    })
}

pub fn png(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(picture).unwrap();
    bytes
}

pub fn webp_lossless(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = WebPEncoder::new_lossless(&mut bytes);
    encoder.write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8).unwrap();
    bytes
}

pub fn webp_lossy(picture: &RgbImage) -> Vec<u8> {
    webp::Encoder::from_rgb(picture, picture.width(), picture.height()).encode(80.0).to_vec()
}

/// An animation: the first frame is in quarters, the others are black.
pub fn gif(width: u32, height: u32, frames: usize) -> Vec<u8> {
    let first = DynamicImage::ImageRgb8(quarters(width, height)).into_rgba8();
    let other = RgbaImage::from_pixel(width, height, image::Rgba([0, 0, 0, 255]));
    let mut bytes = Vec::new();
    {
        let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
        for frame in 0..frames {
            let picture = if frame == 0 { first.clone() } else { other.clone() };
            encoder.encode_frame(Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(10, 1))).unwrap();
        }
    }
    bytes
}

/// An EXIF block, as it stands in the APP1 segment of a JPEG: one entry that tells the orientation.
pub fn exif(orientation: u16) -> Vec<u8> {
    let mut block = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend(orientation.to_le_bytes());
    block.extend([0; 6]);
    block
}

/// The same JPEG with a segment more, first of all.
pub fn with_segment(jpeg: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, content, &jpeg[2..]].concat()
}

pub fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(content);
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length, &name[..], content, &crc.sum().to_be_bytes()].concat()
}

/// The same PNG with a chunk more, behind the header.
pub fn with_chunk(png: &[u8], name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&png[..33], &chunk(name, content), &png[33..]].concat()
}

/// A PNG whose header promises so many pixels of RGBA, and whose data is this.
pub fn png_of(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &header)[..], &chunk(b"IDAT", data), &chunk(b"IEND", b"")].concat()
}

/// So many megabytes of zeros, in a thousandth of that.
pub fn zlib_bomb(megabytes: usize) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut one = Vec::with_capacity(64 << 10);
    compress.compress_vec(&vec![0; 1 << 20], &mut one, FlushCompress::Full).unwrap();
    let mut bomb = vec![0x78, 0xda];
    for _ in 0..megabytes {
        bomb.extend(&one);
    }
    bomb.extend([3, 0, 0, 0, 0, 0]);
    bomb
}

/// A RIFF file of these chunks; odd ones are filled up.
pub fn riff(kind: &[u8; 4], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = kind.to_vec();
    for (name, content) in chunks {
        body.extend(*name);
        body.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        body.extend(*content);
        body.extend(&[0][..content.len() % 2]);
    }
    [b"RIFF", &u32::try_from(body.len()).unwrap().to_le_bytes()[..], &body].concat()
}

/// An animated WebP: the same small picture so many times.
pub fn animated_webp(side: u32, frames: usize) -> Vec<u8> {
    let still = webp_lossy(&quarters(side, side));
    // Behind the head of the file there is one chunk, the picture.
    let three = |number: u32| number.to_le_bytes()[..3].to_vec();
    let frame =
        [three(0), three(0), three(side - 1), three(side - 1), three(10), vec![0], still[12..].to_vec()].concat();
    let canvas = [vec![2, 0, 0, 0], three(side - 1), three(side - 1)].concat();
    let mut chunks: Vec<(&[u8; 4], &[u8])> = vec![(b"VP8X", &canvas), (b"ANIM", &[0; 6])];
    chunks.extend((0..frames).map(|_| (b"ANMF", &frame[..])));
    riff(b"WEBP", &chunks)
}

/// The 16 bytes of a WAV's format: PCM.
pub fn wav_format(channels: u16, rate: u32) -> Vec<u8> {
    let block = channels.wrapping_mul(2);
    let bytes = rate.wrapping_mul(u32::from(block));
    [
        &1_u16.to_le_bytes()[..],
        &channels.to_le_bytes(),
        &rate.to_le_bytes(),
        &bytes.to_le_bytes(),
        &block.to_le_bytes(),
        &16_u16.to_le_bytes(),
    ]
    .concat()
}

/// A tone of one channel, 440 Hz: loud for the first half, a fifth of it in the second.
pub fn tone(milliseconds: u32, rate: u32) -> Vec<u8> {
    let frames = milliseconds * (rate / 1000);
    let sample = |frame: u32| {
        let level = if frame * 2 < frames { 0.8 } else { 0.16 };
        let angle = f64::from(frame) / f64::from(rate) * 440.0 * std::f64::consts::TAU;
        ((angle.sin() * level) * 32_767.0) as i16
    };
    (0..frames).flat_map(|frame| sample(frame).to_le_bytes()).collect()
}

pub fn wav(milliseconds: u32) -> Vec<u8> {
    riff(b"WAVE", &[(b"fmt ", &wav_format(1, 48_000)), (b"data", &tone(milliseconds, 48_000))])
}

/// What ffmpeg makes of a file, given these arguments between input and output; the format is the output's extension.
pub fn ffmpeg(input: &[u8], arguments: &[&str], extension: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join(format!("to.{extension}")));
    std::fs::write(&from, input).unwrap();
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-i"])
        .arg(&from)
        .args(arguments)
        .arg(&to)
        .output()
        .expect("these tests need ffmpeg: apt-get install ffmpeg");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(&to).unwrap()
}

/// Pages of an Ogg stream, a packet (of less than 64 kB) each.
pub fn ogg(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, packet) in packets.iter().enumerate() {
        let flags = if number == 0 { 2 } else { 0 } | if number + 1 == packets.len() { 4 } else { 0 };
        let granule = (number.saturating_sub(2) as u64) * 960;
        let mut lacing = vec![255; packet.len() / 255];
        lacing.push((packet.len() % 255) as u8);
        let mut page = [&b"OggS\0"[..], &[flags], &granule.to_le_bytes(), &7_u32.to_le_bytes()].concat();
        page.extend((number as u32).to_le_bytes());
        page.extend([0; 4]);
        page.push(u8::try_from(lacing.len()).unwrap());
        page.extend(&lacing);
        page.extend(packet);
        let crc = ogg_crc(&page).to_le_bytes();
        page[22..26].copy_from_slice(&crc);
        bytes.extend(page);
    }
    bytes
}

fn ogg_crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc: u32, _| crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
}

/// The same numbers each time.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}
