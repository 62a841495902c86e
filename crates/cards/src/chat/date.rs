//! When something was said, in the ways in which SillyTavern has written it over the years.

use aim_domain::Timestamp;
use serde_json::Value;
use std::ops::Range;

/// Most bytes of a date.
const MOST: usize = 64;
/// Numbers below this are seconds since 1970, others milliseconds.
const MILLIS_FROM: i64 = 100_000_000_000;
/// Milliseconds since 1970; from the last on, years have five digits.
const TIMES: Range<i64> = 0..253_402_300_800_000;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Without an offset it is read as UTC: no file says where it was written. None for what is no date.
pub(super) fn read(value: &Value) -> Option<Timestamp> {
    let read = match value {
        Value::Number(number) => since_1970(number.as_f64()?),
        Value::String(text) if text.len() <= MOST => of_text(text.trim()),
        _ => None,
    };
    read.filter(|at| TIMES.contains(&at.0))
}

fn since_1970(number: f64) -> Option<Timestamp> {
    #[allow(clippy::cast_possible_truncation, reason = "what is beyond an integer is beyond any time that is taken")]
    let whole = number as i64;
    Some(Timestamp(if whole < MILLIS_FROM { whole.saturating_mul(1_000) } else { whole }))
}

fn of_text(text: &str) -> Option<Timestamp> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return since_1970(text.parse().ok()?);
    }
    Timestamp::parse(text).or_else(|| of_parts(text))
}

/// `2023-11-23@12h34m56s`, `2024-1-5 @14h 03m 22s 123ms`, `2024-01-05 14:03:22`, `November 23, 2023 4:05pm`.
fn of_parts(text: &str) -> Option<Timestamp> {
    let (mut numbers, mut words) = (Vec::new(), Vec::new());
    for part in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        // `12h34m56s` and `4:05pm` have no space where a number ends.
        for part in part.split_inclusive(|c: char| c.is_ascii_alphabetic()) {
            let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            if !digits.is_empty() {
                numbers.push(digits.parse::<u32>().ok()?);
            }
        }
        let word = part.trim_start_matches(|c: char| c.is_ascii_digit()).to_ascii_lowercase();
        words.push(word);
    }
    let month = words.iter().find_map(|word| {
        let at = MONTHS.iter().position(|month| word.len() >= 3 && word.starts_with(month))?;
        u32::try_from(at + 1).ok()
    });
    let (year, month, day, time) = match (month, numbers.as_slice()) {
        (Some(month), [day, year, time @ ..]) => (*year, month, *day, time),
        (None, [year, month, day, time @ ..]) => (*year, *month, *day, time),
        _ => return None,
    };
    let part = |at: usize| time.get(at).copied().unwrap_or(0);
    let half = |name: &str| words.iter().any(|word| word == name);
    let hour = match (half("am"), half("pm"), part(0)) {
        (true, _, 12) => 0,
        (_, true, hour @ 1..12) => hour + 12,
        (_, _, hour) => hour,
    };
    Timestamp::parse(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{:02}:{:02}Z", part(1), part(2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dates_of_all_years_are_read() {
        for (given, expected) in [
            (json!("2023-11-23@12h34m56s"), "2023-11-23T12:34:56.000Z"),
            (json!("2024-1-5 @14h 03m 22s 123ms"), "2024-01-05T14:03:22.000Z"),
            (json!("2024-1-5@14h03m22s123ms"), "2024-01-05T14:03:22.000Z"),
            (json!("November 23, 2023 4:05pm"), "2023-11-23T16:05:00.000Z"),
            (json!("May 3, 2024 12:09am"), "2024-05-03T00:09:00.000Z"),
            (json!("Sept 3, 2024 12:09 PM"), "2024-09-03T12:09:00.000Z"),
            (json!("2025-06-01T12:00:00.250Z"), "2025-06-01T12:00:00.250Z"),
            (json!("2025-06-01T12:00:00+02:00"), "2025-06-01T10:00:00.000Z"),
            (json!("2025-06-01 12:00:07"), "2025-06-01T12:00:07.000Z"),
            (json!(1_700_000_000_123_i64), "2023-11-14T22:13:20.123Z"),
            (json!("1700000000123"), "2023-11-14T22:13:20.123Z"),
            (json!(1_700_000_000), "2023-11-14T22:13:20.000Z"),
        ] {
            assert_eq!(read(&given).map(|at| at.to_string()).as_deref(), Some(expected), "{given}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for given in [
            json!(null),
            json!("yesterday"),
            json!(""),
            json!("2024-13-05@14h03m22s"),
            json!("2024-02-30 14:03"),
            json!("May 3, 99999 4:05pm"),
            json!(-1),
            json!(-1e300),
            json!("-000001-01-01T00:00:00Z"),
            json!("1969-12-31T23:59:59Z"),
            json!(1e300),
            json!("99999999999999999999"),
            json!("4294967296-1-1"),
            json!({}),
        ] {
            assert_eq!(read(&given), None, "{given}");
        }
    }
}
