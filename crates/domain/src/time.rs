//! Points in time and lengths of time, in milliseconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// A length of time in milliseconds.
pub type Millis = i64;

/// A point in time: milliseconds since the Unix epoch. On the wire RFC 3339 in UTC, `2026-11-23T04:25:28.120Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub Millis);

impl Timestamp {
    pub fn plus(self, length: Duration) -> Self {
        Self(self.0.saturating_add(Millis::try_from(length.as_millis()).unwrap_or(Millis::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The day in UTC, `2026-11-23`.
    pub fn day(self) -> String {
        self.civil().date().to_string()
    }

    /// The beginning of a day in UTC, `2026-11-23`; none for anything else.
    pub fn parse_day(text: &str) -> Option<Self> {
        let date: jiff::civil::Date = Some(text).filter(|text| text.len() == 10)?.parse().ok()?;
        let at = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        Some(Self(at.as_millisecond()))
    }

    /// RFC 3339, with any offset; none for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(|at: jiff::Timestamp| Self(at.as_millisecond()))
    }

    fn civil(self) -> jiff::civil::DateTime {
        jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(self.0).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(at.as_millisecond()))
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC"))
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_rfc_3339_in_utc_and_reads_back() {
        let at = Timestamp(1_795_408_728_120);
        let text = serde_json::to_string(&at).unwrap_or_default();
        assert_eq!(text, "\"2026-11-23T04:38:48.120Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).ok(), Some(at));
        assert_eq!(at.day(), "2026-11-23");
    }

    #[test]
    fn a_day_is_read_as_its_beginning() {
        let day = Timestamp::parse_day("2026-11-23");
        assert_eq!(day.map(|at| at.to_string()).as_deref(), Some("2026-11-23T00:00:00.000Z"));
        for wrong in ["2026-11-31", "2026-11-2", "20261123", "2026-11-23T00:00:00Z", ""] {
            assert_eq!(Timestamp::parse_day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_later_time_is_no_time_before_an_earlier_one() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).since(Timestamp(5)), Duration::from_millis(4));
    }
}
