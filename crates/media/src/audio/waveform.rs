//! How loud a sound is when, without knowing beforehand how long it will be.

use std::time::Duration;

/// Points of a finished waveform.
const POINTS: usize = 100;
/// Bins while it is measured: when they are full, neighbours become one and each covers twice the time.
const BINS: usize = 512;
const FIRST_BIN_NANOS: u64 = 2_000_000;

#[derive(Debug)]
pub(super) struct Waveform {
    /// Peaks, each over `bin_nanos`.
    bins: Vec<f32>,
    bin_nanos: u64,
    nanos: u64,
}

impl Default for Waveform {
    fn default() -> Self {
        Self { bins: Vec::with_capacity(BINS), bin_nanos: FIRST_BIN_NANOS, nanos: 0 }
    }
}

impl Waveform {
    /// Adds samples of all channels in turn, −1 to 1. There must be a channel and a rate.
    pub(super) fn add(&mut self, samples: &[f32], channels: usize, rate: u32) {
        let (channels, rate) = (channels.max(1), u64::from(rate.max(1)));
        // A millisecond at a time, which no first bin is shorter than.
        let step = (rate / 1000).max(1) as usize * channels;
        let start = self.nanos;
        let mut frames = 0_u64;
        for block in samples.chunks(step) {
            // `max` passes over what is no number.
            let peak = block.iter().fold(0_f32, |peak, sample| peak.max(sample.abs()));
            self.peak(peak);
            frames += (block.len() / channels) as u64;
            self.nanos = start.saturating_add(frames.saturating_mul(1_000_000_000) / rate);
        }
    }

    fn peak(&mut self, peak: f32) {
        let mut bin = self.nanos / self.bin_nanos;
        while bin >= BINS as u64 {
            let merged = self.bins.chunks(2).map(|pair| pair.iter().copied().fold(0.0, f32::max));
            self.bins = merged.collect();
            self.bin_nanos = self.bin_nanos.saturating_mul(2);
            bin = self.nanos / self.bin_nanos;
        }
        let bin = bin as usize;
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, 0.0);
        }
        self.bins[bin] = self.bins[bin].max(peak);
    }

    pub(super) fn length(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// The points, 0 to 255; none where nothing was added.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let bins = self.bins.len();
        if bins == 0 || self.nanos == 0 {
            return None;
        }
        let point = |point: usize| {
            let from = point * bins / POINTS;
            let to = ((point + 1) * bins / POINTS).max(from + 1);
            let peak = self.bins[from..to].iter().copied().fold(0.0, f32::max);
            (peak.min(1.0) * 255.0).round() as u8
        };
        Some((0..POINTS).map(point).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn loud_and_quiet_keep_their_place_however_long_the_sound() {
        for seconds in [1, 7, 300, 4000] {
            let mut waveform = Waveform::default();
            for second in 0..seconds {
                let level = if second * 2 < seconds { 1.0 } else { 0.25 };
                waveform.add(&[level; 800], 1, 800);
            }
            assert_eq!(waveform.length(), Duration::from_secs(seconds));
            assert!(waveform.bins.len() <= BINS);
            let points = waveform.finish().unwrap();
            assert_eq!((points.len(), points[0], points[5]), (POINTS, 255, 255), "{seconds} s");
            if seconds > 1 {
                assert_eq!((points[60], points[99]), (64, 64), "{seconds} s");
            }
        }
    }

    #[test]
    fn channels_share_a_peak_and_odd_samples_do_no_harm() {
        let mut waveform = Waveform::default();
        waveform.add(&[0.0, -0.5, f32::NAN, 0.1, f32::INFINITY, 0.0], 2, 48_000);
        assert_eq!(waveform.length(), Duration::from_nanos(62_500));
        assert_eq!(waveform.finish().unwrap(), vec![255; POINTS]);
        assert_eq!(Waveform::default().finish(), None);
    }
}
