//! A Vorbis header of some kilobytes may ask for gigabytes of tables: 256 codebooks, each of a hundred thousand entries
//! that are described in a few bytes. The decoder bounds each of them and not their sum, so the sum is bounded here.

use symphonia::core::errors::Result;
use symphonia::core::io::{BitReaderRtl, ReadBitsRtl};

const SETUP: &[u8] = b"\x05vorbis";
const CODEBOOK: u32 = 0x56_43_42;
/// Most cells of all tables together, each of four to some sixteen bytes. Real encoders need a few hundred thousand.
const CELLS_MOST: u64 = 2 << 20;

/// Whether the tables of every setup header in a track's extra data are of a size that encoders make. A header that
/// cannot be read fits: the decoder stops at the same place.
pub(super) fn tables_fit(extra_data: &[u8]) -> bool {
    let starts = extra_data.windows(SETUP.len()).enumerate().filter(|(_, window)| *window == SETUP);
    starts.map(|(at, _)| &extra_data[at + SETUP.len()..]).all(|setup| {
        let mut cells = 0;
        // Whether it ends in an error is the decoder's business; how far it came is ours.
        let _ = codebooks(&mut BitReaderRtl::new(setup), &mut cells);
        cells <= CELLS_MOST
    })
}

/// Reads codebooks as in section 3.2.1 of the Vorbis I specification, and adds up what they would take, until it is
/// too much.
fn codebooks(bits: &mut BitReaderRtl<'_>, cells: &mut u64) -> Result<()> {
    let count = bits.read_bits_leq32(8)? + 1;
    for _ in 0..count {
        if bits.read_bits_leq32(24)? != CODEBOOK {
            return Ok(());
        }
        let dimensions = bits.read_bits_leq32(16)?;
        let entries = bits.read_bits_leq32(24)?;
        *cells += u64::from(entries);
        if *cells > CELLS_MOST {
            return Ok(());
        }
        lengths(bits, entries)?;
        let lookup = bits.read_bits_leq32(4)?;
        if lookup == 0 {
            continue;
        }
        *cells += u64::from(entries) * u64::from(dimensions);
        if *cells > CELLS_MOST {
            return Ok(());
        }
        let (_minimum, _delta) = (bits.read_bits_leq32(32)?, bits.read_bits_leq32(32)?);
        let width = bits.read_bits_leq32(4)? + 1;
        let _sequence = bits.read_bool()?;
        let values = match lookup {
            1 => root(entries, dimensions),
            _ => entries.saturating_mul(dimensions),
        };
        for _ in 0..values {
            bits.read_bits_leq32(width)?;
        }
    }
    Ok(())
}

/// Steps over the lengths of a codebook's words.
fn lengths(bits: &mut BitReaderRtl<'_>, entries: u32) -> Result<()> {
    if bits.read_bool()? {
        let _first = bits.read_bits_leq32(5)?;
        let mut known = 0;
        while known < entries {
            let left = entries - known;
            let more = bits.read_bits_leq32(u32::BITS - left.leading_zeros())?;
            // The length rises even when no word has it; there are 32.
            known = known.saturating_add(more);
        }
    } else {
        let sparse = bits.read_bool()?;
        for _ in 0..entries {
            if !sparse || bits.read_bool()? {
                bits.read_bits_leq32(5)?;
            }
        }
    }
    Ok(())
}

/// The greatest number whose power of `dimensions` is `entries` at most.
fn root(entries: u32, dimensions: u32) -> u32 {
    let fits = |value: u32| u64::from(value).checked_pow(dimensions).is_some_and(|power| power <= u64::from(entries));
    let (mut low, mut high) = (0, entries);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits from the least significant one on.
    #[derive(Default)]
    struct Bits(Vec<u8>, usize);

    impl Bits {
        fn put(&mut self, value: u64, width: usize) {
            for bit in 0..width {
                if self.1.is_multiple_of(8) {
                    self.0.push(0);
                }
                if let Some(last) = self.0.last_mut() {
                    *last |= ((value >> bit & 1) as u8) << (self.1 % 8);
                }
                self.1 += 1;
            }
        }
    }

    /// A setup header of `count` codebooks, each described in a handful of bytes.
    fn setup(count: u64, entries: u64, dimensions: u64) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.put(count - 1, 8);
        for _ in 0..count {
            bits.put(u64::from(CODEBOOK), 24);
            bits.put(dimensions, 16);
            bits.put(entries, 24);
            bits.put(1, 1);
            bits.put(16, 5);
            bits.put(entries, 64 - entries.leading_zeros() as usize);
            bits.put(1, 4);
            bits.put(0, 64);
            bits.put(0, 4);
            bits.put(0, 1);
            bits.put(0, root(entries as u32, dimensions as u32) as usize);
        }
        [b"\x01vorbis and so on", SETUP, &bits.0].concat()
    }

    #[test]
    fn a_header_of_kilobytes_that_asks_for_gigabytes_does_not_fit() {
        let bomb = setup(256, 131_072, 32);
        assert!(bomb.len() < 16 << 10, "{}", bomb.len());
        assert!(!tables_fit(&bomb));
        assert!(tables_fit(&setup(40, 625, 4)), "what encoders make");
        assert!(
            tables_fit(b"") && tables_fit(SETUP) && tables_fit(&setup(40, 625, 4)[..60]),
            "what ends early takes nothing"
        );
    }

    #[test]
    fn roots_are_whole() {
        assert_eq!((root(625, 4), root(624, 4), root(131_072, 17), root(1, 3), root(0, 2)), (5, 4, 2, 1, 0));
    }
}
