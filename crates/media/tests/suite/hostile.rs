//! Files that mean harm. Each ends in a clear error, or in a result that has nothing of what was hidden, and all of them
//! together leave memory flat.

use crate::forge::{self, Noise, ffmpeg, quarters};
use crate::pictures::{colours, shown};
use aim_media::{Audio, Caps, Fault, Kind, Picture, Unfit, audio, picture, sniff};
use image::DynamicImage;
use std::time::{Duration, Instant};

#[derive(Debug)]
enum Taken {
    Picture(Picture),
    Sound(Audio),
}

/// What an upload does with the bytes.
fn take(bytes: &[u8]) -> Result<Taken, Unfit> {
    let caps = Caps::default();
    match sniff(bytes)?.kind {
        Kind::Picture => picture(bytes, &caps).map(Taken::Picture),
        Kind::Audio => audio(bytes, &caps).map(Taken::Sound),
    }
}

enum Outcome {
    /// With this sentence's start, and this status.
    Refused(&'static str, Fault),
    /// With the quarters in place, and without this text in any variant.
    Clean(&'static [u8]),
    /// So long in milliseconds.
    Sounds(std::ops::RangeInclusive<u64>),
    /// Either: what matters is that it ends, soon and without harm.
    Ends,
}
use Outcome::{Clean, Ends, Refused, Sounds};

const BROKEN_WAV: Outcome = Refused("The WAV file is broken", Fault::Bad);
const UNKNOWN: Outcome = Refused("This type of file cannot be taken. Pictures may be", Fault::Unsupported);

fn pixels_flood() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let flood = || Refused("The picture is too large: ", Fault::TooLarge);
    let png = forge::png(&DynamicImage::ImageRgb8(quarters(64, 64)));
    let mut jpeg = forge::jpeg(&quarters(64, 64));
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    let mut gif = forge::gif(64, 64, 1);
    gif[6..10].fill(0xff);
    let webp = forge::webp_lossy(&quarters(64, 64));
    let canvas = [vec![2, 0, 0, 0], vec![0xff; 6]].concat();
    let mut largest = webp.clone();
    largest[26..30].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    let icc = [b"bomb\0\0", &forge::zlib_bomb(512)[..]].concat();
    let text = [b"bomb\0\0", &forge::zlib_bomb(1024)[..]].concat();
    vec![
        ("a PNG of 60,000 × 60,000", forge::png_of(60_000, 60_000, &forge::zlib_bomb(2)), flood()),
        ("a PNG of 8,000 × 8,000", forge::png_of(8_000, 8_000, &forge::zlib_bomb(244)), flood()),
        ("a PNG of no pixels", forge::png_of(0, 0, &[]), Refused("The PNG file is broken", Fault::Bad)),
        ("a PNG with more data than pixels", forge::png_of(64, 64, &forge::zlib_bomb(1024)), Ends),
        ("a PNG with a gigabyte of text", forge::with_chunk(&png, b"zTXt", &text), Clean(b"bomb")),
        ("a PNG with a profile of half a gigabyte", forge::with_chunk(&png, b"iCCP", &icc), Ends),
        ("a JPEG of 65,535 × 65,535", jpeg, flood()),
        ("a GIF of 65,535 × 65,535", gif, flood()),
        (
            "a WebP of 16 million a side",
            forge::riff(b"WEBP", &[(b"VP8X", &canvas), (b"ANIM", &[0; 6]), (b"ANMF", &[0; 24])]),
            Refused("The WebP file is broken", Fault::Bad),
        ),
        ("a WebP of 16,383 × 16,383", largest, flood()),
        ("a GIF of 10,000 frames", forge::gif(16, 16, 10_000), Clean(b"NETSCAPE")),
        ("a WebP of 10,000 frames", forge::animated_webp(64, 10_000), Clean(b"ANMF")),
    ]
}

fn polyglots() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let script = b"<script>alert(1)</script>";
    let zip = b"PK\x03\x04\x14\0\0\0\0\0evil.exe";
    let jpeg = forge::jpeg(&quarters(64, 64));
    let gif = forge::gif(64, 64, 1);
    // A comment that opens a script's comment, and a script behind the end.
    let comment = [&[0x21, 0xfe, script.len() as u8][..], script, &[0]].concat();
    let header = 13 + if gif[10] & 0x80 == 0 { 0 } else { 3 << ((gif[10] & 7) + 1) };
    let gif = [&gif[..header], &comment, &gif[header..], script].concat();
    let png = forge::png(&DynamicImage::ImageRgb8(quarters(64, 64)));
    let mut outside = forge::exif(6);
    outside[10..14].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    let mut endless = forge::exif(6);
    endless[14..16].fill(0xff);
    endless[16] = 0;
    let webp = forge::webp_lossy(&quarters(64, 64));
    vec![
        ("a GIF that is a script", gif, Clean(b"script")),
        ("GIF89a=1;//", [&b"GIF89a=1;//"[..], script].concat(), Refused("The ", Fault::TooLarge)),
        ("a JPEG with a zip behind it", [&jpeg[..], zip].concat(), Clean(b"PK\x03\x04")),
        ("a JPEG with a script in a comment", forge::with_segment(&jpeg, 0xfe, script), Clean(b"script")),
        ("a JPEG whose EXIF points outside", forge::with_segment(&jpeg, 0xe1, &outside), Clean(b"Exif")),
        ("a JPEG whose EXIF never ends", forge::with_segment(&jpeg, 0xe1, &endless), Clean(b"Exif")),
        ("a PNG with HTML behind it", [&png[..], b"<html>", script].concat(), Clean(b"script")),
        ("a PNG with a script for text", forge::with_chunk(&png, b"tEXt", b"Comment\0<script>"), Clean(b"script")),
        ("a WebP with a script behind it", [&webp[..], script].concat(), Clean(b"script")),
    ]
}

fn cut_off() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let noisy = image::RgbImage::from_raw(64, 64, Noise(9).bytes(64 * 64 * 3)).unwrap();
    let cut = |format| Refused(format, Fault::Bad);
    let jpeg = forge::jpeg(&noisy);
    vec![
        ("nothing", vec![], Refused("The file is empty.", Fault::Bad)),
        ("one byte", vec![0x89], UNKNOWN),
        ("a PNG's first bytes", b"\x89PNG\r\n\x1a\n".to_vec(), cut("The PNG file is cut off")),
        ("half a PNG", half(&forge::png(&DynamicImage::ImageRgb8(noisy.clone()))), cut("The PNG file is cut off")),
        ("half a JPEG", half(&jpeg), cut("The JPEG file is cut off: its end is missing. Please send it again.")),
        ("a JPEG's first bytes", jpeg[..3].to_vec(), cut("The JPEG file is cut off")),
        ("a JPEG without its last byte", jpeg[..jpeg.len() - 1].to_vec(), cut("The JPEG file is cut off")),
        ("half a WebP", half(&forge::webp_lossy(&noisy)), cut("The WebP file is cut off")),
        ("half a WebP, lossless", half(&forge::webp_lossless(&noisy)), cut("The WebP file is cut off")),
        ("a WebP of no chunks", forge::riff(b"WEBP", &[]), cut("The WebP file is")),
        ("half a GIF", half(&forge::gif(64, 64, 1)), cut("The GIF file is")),
    ]
}

fn other_types() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let other = |told| Refused(told, Fault::Unsupported);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec();
    vec![
        ("an SVG with a script", svg, other("SVG cannot be taken. Please send a PNG, JPEG, WebP or GIF.")),
        ("HTML, whatever its name", b"<!doctype html><script>alert(1)</script>".to_vec(), UNKNOWN),
        ("text, whatever its name", b"picture.png".to_vec(), UNKNOWN),
        ("a PDF", b"%PDF-1.7\n1 0 obj".to_vec(), other("PDF cannot be taken.")),
        ("a program of Windows", b"MZ\x90\0\x03\0\0\0".to_vec(), UNKNOWN),
        ("a program of Linux", b"\x7fELF\x02\x01\x01".to_vec(), UNKNOWN),
        ("a zip", b"PK\x03\x04\x14\0\0\0".to_vec(), UNKNOWN),
        ("noise", Noise(77).bytes(100_000), UNKNOWN),
    ]
}

fn sounds() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let tone = forge::tone(1000, 48_000);
    let wav = |format: &[u8]| forge::riff(b"WAVE", &[(b"fmt ", format), (b"data", &tone)]);
    let with_lengths = |of_file: u32, of_sound: u32| {
        let mut bytes = wav(&forge::wav_format(1, 48_000));
        bytes[4..8].copy_from_slice(&of_file.to_le_bytes());
        bytes[40..44].copy_from_slice(&of_sound.to_le_bytes());
        bytes
    };
    let opus = ffmpeg(&forge::wav(3000), &["-c:a", "libopus"], "ogg");
    let webm = ffmpeg(&forge::wav(3000), &["-c:a", "libopus"], "webm");
    let mut broken = opus.clone();
    let mut noise = Noise(5);
    for _ in 0..200 {
        let at = 200 + noise.next() as usize % (broken.len() - 200);
        broken[at] ^= noise.next() as u8;
    }
    let mut huge_element = webm.clone();
    let cluster = huge_element.windows(4).position(|id| id == [0x1f, 0x43, 0xb6, 0x75]).unwrap();
    huge_element[cluster + 4..cluster + 12].copy_from_slice(&[0x01, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]);
    let film = |codec: &str, to: &str, sound: &str| {
        let picture = ["-f", "lavfi", "-i", "testsrc=d=1:s=64x64:r=5", "-map", "0:a", "-map", "1:v"];
        ffmpeg(&forge::wav(1000), &[&picture[..], &["-c:v", codec, "-c:a", sound]].concat(), to)
    };
    let m4a = ffmpeg(&forge::wav(1000), &["-c:a", "aac"], "m4a");
    let mut huge_box = m4a.clone();
    let table = huge_box.windows(4).position(|name| name == b"stsz").unwrap();
    huge_box[table - 4..table].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    huge_box[table + 12..table + 16].fill(0xff);
    let noise_mp3 = [&b"\xff\xfb\x90\0"[..], &Noise(3).bytes(300_000)].concat();
    let head = |codec: &[u8]| [&b"OpusHead\x01"[..], codec].concat();
    let tags = b"OpusTags\x04\0\0\0test\0\0\0\0".to_vec();
    let random_packets = (0..500).map(|_| noise.bytes(60)).collect::<Vec<_>>();
    let random_opus = [vec![head(b"\x02\0\0\x80\xbb\0\0\0\0\0"), tags.clone()], random_packets].concat();
    let of_all_channels = vec![head(b"\xff\0\0\x80\xbb\0\0\0\0\x01"), tags, vec![0xfc; 9]];
    let video = || Refused("Video cannot be taken. Please send its sound alone.", Fault::Unsupported);
    vec![
        ("a WAV that claims too much", with_lengths(u32::MAX, u32::MAX), Sounds(990..=1000)),
        ("a WAV that claims too little", with_lengths(96_036, 48_000), Sounds(500..=500)),
        ("a WAV whose sound is longer than the file", with_lengths(96_036, 200_000), Ends),
        ("a WAV of no channels", wav(&forge::wav_format(0, 48_000)), BROKEN_WAV),
        ("a WAV of 65,535 channels", wav(&forge::wav_format(u16::MAX, 48_000)), BROKEN_WAV),
        ("a WAV without a rate", wav(&forge::wav_format(1, 0)), BROKEN_WAV),
        (
            "a WAV without sound",
            forge::riff(b"WAVE", &[(b"fmt ", &forge::wav_format(1, 48_000))]),
            Refused("The WAV", Fault::Bad),
        ),
        ("an MP3 of noise", noise_mp3, Refused("The MP3 file ", Fault::Bad)),
        ("an MP3 that is all tag", b"ID3\x04\0\0\x7f\x7f\x7f\x7fabc".to_vec(), Refused("The MP3 file ", Fault::Bad)),
        ("an Ogg of broken pages", broken, Ends),
        ("half an Ogg", opus[..opus.len() / 2].to_vec(), Sounds(900..=2000)),
        ("an Ogg of random packets", forge::ogg(&random_opus), Ends),
        ("an Ogg of 255 channels", forge::ogg(&of_all_channels), Refused("The Ogg file ", Fault::Bad)),
        ("an Ogg of endless tables", forge::ogg(&vorbis_bomb()), Refused("The Ogg file is broken", Fault::Bad)),
        ("half a WebM", webm[..webm.len() / 2].to_vec(), Refused("The WebM file ", Fault::Bad)),
        ("a WebM's first bytes", webm[..60].to_vec(), Refused("The WebM file ", Fault::Bad)),
        ("a WebM with an endless element", huge_element, Ends),
        ("an MP4 with a film", film("mpeg4", "mp4", "aac"), video()),
        ("a WebM with a film", film("libvpx", "webm", "libopus"), video()),
        ("an M4A with an endless table", huge_box, Refused("The M4A file ", Fault::Bad)),
        ("half an M4A", m4a[..m4a.len() / 2].to_vec(), Refused("The M4A file ", Fault::Bad)),
        (
            "an M4A of one endless box",
            b"\0\0\0\x14ftypM4A \0\0\0\0M4A \xff\xff\xff\xffmoov".to_vec(),
            Refused("The M4A file ", Fault::Bad),
        ),
    ]
}

/// The three headers of a Vorbis stream; the last describes 256 tables of 131,072 × 32 numbers in a few bytes each.
fn vorbis_bomb() -> Vec<Vec<u8>> {
    let identification = [&b"\x01vorbis\0\0\0\0\x01"[..], &48_000_u32.to_le_bytes(), &[0; 12], &[0xb8, 1]].concat();
    let comment = b"\x03vorbis\x04\0\0\0test\0\0\0\0\x01".to_vec();
    let mut bits = Vec::new();
    let mut put = |value: u64, width: u32| bits.extend((0..width).map(|bit| value >> bit & 1 == 1));
    put(255, 8);
    for _ in 0..256 {
        for (value, width) in [
            (0x56_43_42, 24),
            (32, 16),
            (131_072, 24),
            (1, 1),
            (16, 5),
            (131_072, 18),
            (1, 4),
            (0, 64),
            (0, 4),
            (0, 1),
            (0, 1),
        ] {
            put(value, width);
        }
    }
    let bytes = bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)));
    vec![identification, comment, [&b"\x05vorbis"[..], &bytes.collect::<Vec<u8>>()].concat()]
}

/// What is wrong with what became of the file, if anything.
fn check(bytes: &[u8], outcome: &Outcome) -> Result<(), String> {
    let start = Instant::now();
    let taken = take(bytes);
    if start.elapsed() > Duration::from_secs(10) {
        return Err(format!("it took {:?}", start.elapsed()));
    }
    let ok = |is: bool, told: String| if is { Ok(()) } else { Err(told) };
    match (outcome, taken) {
        (Refused(told, fault), Err(unfit)) => {
            ok(unfit.to_string().starts_with(told) && unfit.fault() == *fault, format!("{unfit} {:?}", unfit.fault()))
        }
        (Clean(hidden), Ok(Taken::Picture(made))) => {
            let holds = |bytes: &[u8]| bytes.windows(hidden.len()).any(|window| window == *hidden);
            let seen = made.variants.iter().any(|variant| holds(&variant.bytes));
            let colours = colours(&shown(&made, "full"));
            ok(!seen && colours == "rgbw", format!("hidden: {seen}, colours: {colours}"))
        }
        (Sounds(length), Ok(Taken::Sound(sound))) => {
            ok(length.contains(&sound.length_ms), format!("{} ms", sound.length_ms))
        }
        (Ends, Err(unfit)) => ok(unfit.fault() != Fault::TooLarge, unfit.to_string()),
        (Ends, Ok(_)) => Ok(()),
        (_, Ok(taken)) => Err(format!("it was taken: {taken:.200?}")),
        (_, Err(unfit)) => Err(unfit.to_string()),
    }
}

/// Bytes of memory: now, and at the most so far.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    };
    (of("VmRSS:"), of("VmHWM:"))
}

#[test]
fn each_hostile_file_does_no_harm_and_memory_stays_flat() {
    let files: Vec<_> =
        [pixels_flood(), polyglots(), cut_off(), other_types(), sounds()].into_iter().flatten().collect();
    assert!(files.len() >= 50, "{}", files.len());
    // Making them took memory as well: count from here.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, _) = memory();
    let wrong = |(name, bytes, outcome): &(&str, Vec<u8>, Outcome)| {
        check(bytes, outcome).err().map(|told| format!("{name}: {told}"))
    };
    let wrong: Vec<_> = files.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (_, most) = memory();
    let grown = (most - before) >> 20;
    println!("{} files, {grown} MB more at the peak", files.len());
    assert!(grown < 160, "{grown} MB more at the peak");
}

#[test]
fn files_with_bytes_changed_at_random_are_taken_or_refused() {
    let small = quarters(48, 48);
    let wav = forge::wav(200);
    let seeds = [
        ("png", forge::png(&DynamicImage::ImageRgb8(small.clone()))),
        ("jpeg", forge::with_segment(&forge::jpeg(&small), 0xe1, &forge::exif(6))),
        ("webp", forge::webp_lossy(&small)),
        ("webp, lossless", forge::webp_lossless(&small)),
        ("animated webp", forge::animated_webp(32, 3)),
        ("gif", forge::gif(48, 48, 3)),
        ("wav", wav.clone()),
        ("ogg opus", ffmpeg(&wav, &["-c:a", "libopus"], "ogg")),
        ("ogg vorbis", ffmpeg(&wav, &["-c:a", "libvorbis"], "ogg")),
        ("webm", ffmpeg(&wav, &["-c:a", "libopus"], "webm")),
        ("m4a", ffmpeg(&wav, &["-c:a", "aac"], "m4a")),
        ("mp3", ffmpeg(&wav, &["-c:a", "libmp3lame"], "mp3")),
    ];
    let mut noise = Noise(2026);
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, _) = memory();
    let (mut taken, mut refused) = (0, 0);
    for (name, seed) in &seeds {
        for _ in 0..120 {
            let mut bytes = seed.clone();
            for _ in 0..1 + noise.next() % 6 {
                // Heads decide more than what follows them.
                let reach = if noise.next().is_multiple_of(2) { bytes.len().min(200) } else { bytes.len() };
                let at = noise.next() as usize % reach;
                bytes[at] = noise.next() as u8;
            }
            let start = Instant::now();
            match take(&bytes) {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{name} took {:?}", start.elapsed());
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
    let (_, most) = memory();
    let grown = (most - before) >> 20;
    assert!(grown < 400, "{grown} MB more at the peak");
}
