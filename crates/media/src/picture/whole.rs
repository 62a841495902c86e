//! Whether a file goes on to its end. The decoders fill with grey what is missing of a JPEG, and trust the lengths of a
//! WebP's chunks before they read them.

use crate::Unfit;

/// Walks the segments to the end of the image. What follows it is nobody's business: it is not handed on.
pub(super) fn jpeg(bytes: &[u8]) -> Result<(), Unfit> {
    const CUT: Unfit = Unfit::Truncated { what: "JPEG" };
    const START: u8 = 0xd8;
    const END: u8 = 0xd9;
    let mut at = 0;
    loop {
        // A marker is 0xff and a byte that is neither stuffing nor another 0xff; within a scan, whatever else there is
        // is data.
        let from = bytes.get(at..).ok_or(CUT)?;
        at += from.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff)).ok_or(CUT)?;
        let marker = bytes[at + 1];
        at += 2;
        match marker {
            END => return Ok(()),
            // Restarts, the start, and TEM stand alone.
            START | 0xd0..=0xd7 | 0x01 => {}
            _ => {
                let length = bytes.get(at..at + 2).ok_or(CUT)?;
                at += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
}

/// Walks the chunks of the file: each must lie within it.
pub(super) fn webp(bytes: &[u8]) -> Result<(), Unfit> {
    const CUT: Unfit = Unfit::Truncated { what: "WebP" };
    let length = |at: usize| {
        let bytes = bytes.get(at..at + 4).ok_or(CUT)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    };
    let end = 8 + length(4)?;
    let mut at = 12;
    while at < end {
        let size = length(at + 4)?;
        at += 8 + size;
        if at > bytes.len() {
            return Err(CUT);
        }
        // The byte that fills up an odd chunk may be missing at the very end.
        at += size & 1;
    }
    Ok(())
}
