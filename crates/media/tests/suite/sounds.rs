//! What is told of good sounds, whoever encoded them.

use crate::forge::{self, ffmpeg};
use aim_media::{Audio, Caps, Unfit, audio, audio_file, sniff};
use std::time::Duration;

fn of(name: &str, bytes: &[u8]) -> Audio {
    audio(bytes, &Caps::default()).unwrap_or_else(|unfit| panic!("{name}: {unfit}"))
}

/// Loud for the first half and a fifth of it in the second, as `forge::tone` is.
fn assert_is_the_tone(name: &str, sound: &Audio, milliseconds: u64) {
    assert!(sound.length_ms.abs_diff(milliseconds) <= 70, "{name}: {} ms of {milliseconds}", sound.length_ms);
    assert_eq!(sound.waveform.len(), 100, "{name}");
    for (at, level) in sound.waveform.iter().enumerate() {
        let expected = match at {
            3..46 => 140..=235,
            54..96 => 26..=56,
            _ => continue,
        };
        assert!(expected.contains(level), "{name}: {level} at {at} of {:?}", sound.waveform);
    }
}

#[test]
fn every_type_tells_its_length_and_its_peaks() {
    let wav = forge::wav(4000);
    assert_is_the_tone("wav", &of("wav", &wav), 4000);
    for (name, arguments, extension, mime) in [
        ("webm", &["-c:a", "libopus"][..], "webm", "audio/webm"),
        ("webm, live", &["-c:a", "libopus", "-b:a", "24k", "-application", "voip", "-live", "1"], "webm", "audio/webm"),
        (
            "webm, low, wide",
            &["-c:a", "libopus", "-b:a", "8k", "-ac", "2", "-frame_duration", "60"],
            "webm",
            "audio/webm",
        ),
        ("ogg opus", &["-c:a", "libopus", "-b:a", "64k", "-ac", "2"], "ogg", "audio/ogg"),
        (
            "ogg opus, short frames",
            &["-c:a", "libopus", "-application", "lowdelay", "-frame_duration", "5"],
            "ogg",
            "audio/ogg",
        ),
        ("ogg vorbis", &["-c:a", "libvorbis"], "ogg", "audio/ogg"),
        ("webm vorbis", &["-c:a", "libvorbis"], "webm", "audio/webm"),
        ("m4a", &["-c:a", "aac", "-b:a", "96k"], "m4a", "audio/mp4"),
        ("m4a, in fragments", &["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"], "mp4", "audio/mp4"),
        ("m4a, head first", &["-c:a", "aac", "-ac", "2", "-movflags", "faststart"], "m4a", "audio/mp4"),
        ("mp3", &["-c:a", "libmp3lame", "-b:a", "64k"], "mp3", "audio/mpeg"),
        (
            "mp3, variable, untagged",
            &["-c:a", "libmp3lame", "-q:a", "4", "-id3v2_version", "0", "-write_xing", "0"],
            "mp3",
            "audio/mpeg",
        ),
        ("wav, deep", &["-c:a", "pcm_s24le", "-ac", "2"], "wav", "audio/wav"),
        ("wav, of floats", &["-c:a", "pcm_f32le", "-ar", "16000"], "wav", "audio/wav"),
    ] {
        let bytes = ffmpeg(&wav, arguments, extension);
        let sniffed = sniff(&bytes).unwrap_or_else(|unfit| panic!("{name}: {unfit}"));
        assert_eq!(sniffed.mime, mime, "{name}");
        assert_is_the_tone(name, &of(name, &bytes), 4000);
    }
}

#[test]
fn opus_is_decoded_as_ffmpeg_decodes_it() {
    // Noise that swells, which takes every mode of the codec: voice, music, and both at once.
    let swell = "anoisesrc=d=3:c=pink:seed=7,tremolo=f=1.5:d=0.9";
    let source = ffmpeg(&forge::wav(100), &["-f", "lavfi", "-i", swell, "-map", "1:a", "-ar", "48000"], "wav");
    for arguments in [
        &["-b:a", "12k", "-application", "voip", "-ac", "1"][..],
        &["-b:a", "32k", "-application", "voip", "-ac", "1"],
        &["-b:a", "96k", "-application", "audio", "-ac", "2"],
        &["-b:a", "20k", "-frame_duration", "40", "-ac", "2"],
    ] {
        let webm = ffmpeg(&source, &[&["-c:a", "libopus"], arguments].concat(), "webm");
        let (ours, theirs) = (of("ours", &webm), of("theirs", &ffmpeg(&webm, &[], "wav")));
        // What the last packet of a WebM has too much is known to ffmpeg alone.
        assert!(ours.length_ms.abs_diff(theirs.length_ms) <= 125, "{} {}", ours.length_ms, theirs.length_ms);
        // Theirs may begin some milliseconds earlier or later, so that single peaks fall into the next point.
        let apart = |points: (&[u8], &[u8])| {
            let sum = |points: &[u8]| points.iter().map(|&point| u32::from(point)).sum::<u32>();
            sum(points.0).abs_diff(sum(points.1)) / points.0.len() as u32
        };
        let tenths = ours.waveform.chunks(10).zip(theirs.waveform.chunks(10));
        assert!(
            tenths.map(apart).all(|apart| apart <= 12),
            "{arguments:?}: {:?} is not {:?}",
            ours.waveform,
            theirs.waveform
        );
    }
}

#[test]
fn a_file_is_the_same_as_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a picture.png");
    for bytes in [forge::wav(500), ffmpeg(&forge::wav(500), &["-c:a", "libopus"], "webm"), b"text".to_vec(), Vec::new()]
    {
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(audio_file(&path, &Caps::default()).unwrap(), audio(&bytes, &Caps::default()));
    }
    assert!(audio_file(&folder.path().join("missing"), &Caps::default()).is_err());
}

#[test]
fn tags_and_covers_are_stepped_over() {
    let mp3 = ffmpeg(&forge::wav(2000), &["-c:a", "libmp3lame", "-id3v2_version", "0"], "mp3");
    let cover = 3_000_000_u32;
    let size: Vec<u8> = (0..4).rev().map(|at| (cover >> (7 * at) & 0x7f) as u8).collect();
    let tag = [&b"ID3\x04\0\0"[..], &size, &vec![0xff; cover as usize]].concat();
    assert_is_the_tone("mp3 with a cover", &of("mp3 with a cover", &[tag, mp3].concat()), 2000);
}

#[test]
fn what_is_too_long_is_refused_when_it_is() {
    let caps = Caps { audio_length: Duration::from_millis(1500), ..Caps::default() };
    let too_long = Err(Unfit::TooLong { most: Duration::from_millis(1500) });
    let wav = forge::wav(1600);
    assert_eq!(audio(&wav, &caps), too_long);
    assert_eq!(audio(&ffmpeg(&wav, &["-c:a", "libopus"], "ogg"), &caps), too_long);
    assert!(audio(&forge::wav(1400), &caps).is_ok());
    let caps = Caps { audio_bytes: 100, ..caps };
    assert_eq!(audio(&wav, &caps), Err(Unfit::TooLarge { most: 100 }));
}

#[test]
fn silence_is_a_sound_and_its_waveform_is_flat() {
    let silence = forge::riff(b"WAVE", &[(b"fmt ", &forge::wav_format(2, 8000)), (b"data", &[0; 32_000])]);
    assert_eq!(of("silence", &silence), Audio { length_ms: 1000, waveform: vec![0; 100] });
}
