//! A packet in, its peaks into the waveform.

use super::vorbis;
use super::waveform::Waveform;
use crate::Unfit;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::RegisterableAudioDecoder;
use symphonia::core::errors::Error;
use symphonia::core::formats::Track;
use symphonia::core::packet::Packet;
use symphonia::core::units::Duration;
use symphonia_adapter_libopus::OpusDecoder;

/// More channels or a higher rate are no recording that anyone sends.
const CHANNELS_MOST: usize = 8;
const RATE_MOST: u32 = 384_000;

/// What Opus is decoded at, whatever a container says of the recording that it was made from.
const OPUS_RATE: u32 = 48_000;

/// The packet tells nothing.
#[derive(Debug)]
pub(super) struct Undecodable;

pub(super) struct Decoder {
    decoder: Box<dyn AudioDecoder>,
    opus: bool,
    /// Frames at the start that only warm the decoder up, where that is left to us.
    skip: usize,
    samples: Vec<f32>,
}

impl Decoder {
    pub(super) fn of(track: &Track, what: &'static str) -> Result<Self, Unfit> {
        let broken = Unfit::Broken { what };
        let Some(params) = track.codec_params.as_ref().and_then(|params| params.audio()) else {
            return Err(Unfit::NoSound { what });
        };
        // Buffers are made for as many channels as the header claims.
        let channels = params.channels.as_ref().map(|channels| channels.count());
        if channels.is_some_and(|count| !(1..=CHANNELS_MOST).contains(&count))
            || params.sample_rate.is_some_and(|rate| !(1..=RATE_MOST).contains(&rate))
        {
            return Err(broken);
        }
        let opus = params.codec == CODEC_ID_OPUS;
        if params.codec == CODEC_ID_VORBIS && !vorbis::tables_fit(params.extra_data.as_deref().unwrap_or_default()) {
            return Err(broken);
        }
        let decoder = if opus {
            let mut params = params.clone();
            params.sample_rate = Some(OPUS_RATE);
            params.extra_data = None;
            OpusDecoder::try_registry_new(&params, &Default::default())
        } else {
            // What an MP3 without a tag has too much at its end is guessed from its first bit rate, and cut off.
            let options = AudioDecoderOptions::default().gapless(params.codec != CODEC_ID_MP3);
            symphonia::default::get_codecs().make_audio_decoder(params, &options)
        };
        let skip = if opus { pre_skip(params) } else { 0 };
        Ok(Self { decoder: decoder.map_err(|_| broken)?, opus, skip, samples: Vec::new() })
    }

    pub(super) fn decode(&mut self, packet: &Packet, waveform: &mut Waveform) -> Result<(), Undecodable> {
        // To Opus no bytes are a packet that was lost, for which it makes up a sound.
        if packet.data.is_empty() {
            return Err(Undecodable);
        }
        let mut packet = packet.as_packet_ref();
        if self.opus {
            packet.trim_start = Duration::ZERO;
        }
        let decoded = self.decoder.decode_ref(&packet).map_err(|_: Error| Undecodable)?;
        let (channels, rate) = (decoded.spec().channels().count(), decoded.spec().rate());
        if !(1..=CHANNELS_MOST).contains(&channels) || !(1..=RATE_MOST).contains(&rate) {
            return Err(Undecodable);
        }
        let skipped = self.skip.min(decoded.frames());
        self.skip -= skipped;
        decoded.copy_to_vec_interleaved(&mut self.samples);
        waveform.add(self.samples.get(skipped * channels..).unwrap_or_default(), channels, rate);
        Ok(())
    }
}

/// At 10 in the identification header, RFC 7845 section 5.1.
fn pre_skip(params: &AudioCodecParameters) -> usize {
    match params.extra_data.as_deref().and_then(|header| header.get(10..12)) {
        Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
        _ => 0,
    }
}
