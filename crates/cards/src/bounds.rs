//! How deep and how wide a JSON text is, counted without parsing it: one pass over its bytes, no memory.

use crate::Unfit;

/// Levels of arrays and objects; serde_json itself refuses the 128th.
pub(crate) const MAX_DEPTH: usize = 96;
/// Values in all. Each takes a hundred bytes or less once it is parsed, beside its text.
pub(crate) const MAX_VALUES: usize = 200_000;

/// Refuses a text that would take too much stack or memory. Whether it is JSON at all is left to the parser.
pub(crate) fn check(text: &[u8]) -> Result<(), Unfit> {
    let (mut depth, mut values) = (0_usize, 1_usize);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                depth += 1;
                values += 1;
                if depth > MAX_DEPTH {
                    return Err(Unfit::TooDeep { most: MAX_DEPTH });
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b':' => values += 1,
            _ => {}
        }
        if values > MAX_VALUES {
            return Err(Unfit::TooMany { most: MAX_VALUES });
        }
    }
    Ok(())
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        let text = format!("{{\"a\\\"{}\": [1]}}", "[".repeat(1_000));
        assert_eq!(check(text.as_bytes()), Ok(()));
        assert_eq!(check("[".repeat(MAX_DEPTH + 1).as_bytes()), Err(Unfit::TooDeep { most: MAX_DEPTH }));
        assert_eq!(check("[]".repeat(100_000).as_bytes()), Ok(()), "deep is not long");
    }

    #[test]
    fn what_is_wide_is_refused() {
        let text = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert_eq!(check(text.as_bytes()), Err(Unfit::TooMany { most: MAX_VALUES }));
    }

    #[test]
    fn whatever_passes_fits_into_the_parsers_depth() {
        let text = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert_eq!(check(text.as_bytes()), Ok(()));
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
