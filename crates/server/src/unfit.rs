//! What is told of JSON that does not fit, in the words of JSON and not of this program's types. What was sent stays out of it:
//! another's screen may show it.

use aim_domain::FieldError;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Reads JSON; what does not fit is told of by its field, `body` where it is all of it.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Unfit> {
    // Once more for the place of the fault: only who errs pays for it.
    serde_json::from_slice(json).map_err(|_| {
        let mut reader = serde_json::Deserializer::from_slice(json);
        match serde_path_to_error::deserialize::<_, T>(&mut reader) {
            Ok(_) => Unfit::GoesOn,
            Err(error) if error.inner().is_data() => Unfit::Field(field_error(&error)),
            // One word of several was asked for, which serde_json tells as a fault of the text.
            Err(error) if serde_json::from_slice::<IgnoredAny>(json).is_ok() => {
                Unfit::Field(FieldError { field: field_of(&error), message: "is of another type".to_owned() })
            }
            Err(error) => Unfit::NoJson { line: error.inner().line(), column: error.inner().column() },
        }
    })
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("goes on after its JSON value")]
    GoesOn,
    #[error("is not valid JSON: line {line}, column {column}")]
    NoJson { line: usize, column: usize },
    #[error("does not fit: {} {}", .0.field, .0.message)]
    Field(FieldError),
}

/// Names the field that did not fit.
pub(crate) fn field_error<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> FieldError {
    let text = error.inner().to_string();
    // serde_json adds the place, which the field's name tells better.
    let said = text.rsplit_once(" at line ").map_or(text.as_str(), |(said, _)| said);
    let named = |said: &str| said.split('`').nth(1).map(str::to_owned);
    let path = error.path().to_string();
    let nested = |name: String| if path == "." { name } else { format!("{path}.{name}") };
    let (field, message) = match said {
        said if said.starts_with("missing field") => (named(said).map(nested), "is missing".to_owned()),
        said if said.starts_with("duplicate field") => (named(said).map(nested), "is there twice".to_owned()),
        // Of a query, where each value is text.
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            (None, "must be a whole number, not below 0".to_owned())
        }
        "number too large to fit in target type" => (None, "is out of range".to_owned()),
        "provided string was not `true` or `false`" => (None, "must be true or false".to_owned()),
        said => (None, said.to_owned()),
    };
    let field = field.unwrap_or_else(|| field_of(error));
    let message = match message.rsplit_once(", expected ") {
        Some((value, _)) if value.starts_with("invalid value: integer") => "is out of range".to_owned(),
        Some((_, expected)) => format!("must be {}", in_plain_words(expected)),
        None => message,
    };
    FieldError { field, message }
}

fn field_of<E>(error: &serde_path_to_error::Error<E>) -> String {
    let path = error.path().to_string();
    if path == "." { "body".to_owned() } else { path }
}

/// What serde expected.
fn in_plain_words(expected: &str) -> &str {
    match expected {
        "a map" => "an object",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not below 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Form {
        name: String,
        tags: Vec<u8>,
        kind: aim_domain::Kind,
    }

    #[test]
    fn a_refused_field_is_named_and_its_value_is_not_repeated() {
        for (text, field, message) in [
            (r#"{"name":7,"tags":[],"kind":"text"}"#, "name", "must be a string"),
            (r#"{"name":"a","tags":[1,"x"],"kind":"text"}"#, "tags[1]", "must be a whole number, not below 0"),
            (r#"{"name":"a","tags":{},"kind":"text"}"#, "tags", "must be a list"),
            (r#"{"name":"a","tags":[300],"kind":"text"}"#, "tags[0]", "is out of range"),
            (r#"{"name":"a","tags":"x, expected my secret","kind":"text"}"#, "tags", "must be a list"),
            (r#"{"name":"a","tags":[],"kind":7}"#, "kind", "is of another type"),
            (r#"{"name":"a","tags":[],"kind":null}"#, "kind", "is of another type"),
            (r#"{"tags":[],"kind":"text"}"#, "name", "is missing"),
            (r#"{"name":"a","tags":[],"kind":"video"}"#, "kind", "must be one of `text`, `audio`, `image`"),
            ("[]", "body", "must be an object"),
            ("7", "body", "must be an object"),
        ] {
            let Err(Unfit::Field(error)) = read::<Form>(text.as_bytes()) else { panic!("{text}") };
            assert_eq!((error.field.as_str(), error.message.as_str()), (field, message), "{text}");
        }
        let all = |text: &str| read::<Form>(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(all("{\n x}"), "is not valid JSON: line 2, column 2");
        assert_eq!(all(r#"{"name":"a","tags":[],"kind":"text"} x"#), "goes on after its JSON value");
        assert_eq!(all(r#"{"kind":"text"}"#), "does not fit: name is missing");
    }
}
