//! Configuration: the embedded `config.default.toml`, then a file, then the environment.
//!
//! Every setting stands in the default file, so that file is also the list of what there is: a key that it lacks is
//! refused with the nearest name, and an error says which file or which variable it comes from.

mod checks;
mod sections;
mod value;

pub use sections::{
    Ai, Auth, Cache, Config, Data, Database, Firebase, Http, Limits, LocalModel, LogFormat, Mail, Media, Premium,
    Profile, Queue, ReadFrom, Redis, Registration, Server, Synchronous, Telemetry, Transcription, Usage, Workers,
};
pub use value::Secret;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The annotated defaults.
pub const DEFAULTS: &str = include_str!("../../../../config.default.toml");

/// The file that is read where none is named.
const FILE: &str = "aim.toml";

/// What is wrong with the configuration, and what to do about it: lines for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// A configuration with what a person should know of it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Risky settings, and settings that do nothing.
    pub warnings: Vec<String>,
    effective: Table,
}

impl Loaded {
    /// What is in force, as TOML, with secrets hidden.
    pub fn shown(&self) -> String {
        let mut table = self.effective.clone();
        hide_secrets(&mut table);
        table.to_string()
    }
}

impl Config {
    /// From the named file (or `aim.toml` here, where there is one) and the process's environment.
    pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
        let file = match file {
            Some(path) => Some(path.to_owned()),
            None => Some(PathBuf::from(FILE)).filter(|path| path.exists()),
        };
        let text = match &file {
            None => None,
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| ConfigError(format!("{} cannot be read: {error}", path.display())))?,
            ),
        };
        let file = file.as_deref().zip(text.as_deref());
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
        load(file, environment)
    }

    /// From the defaults and `AIM_…` pairs alone.
    pub fn with<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Config, ConfigError> {
        let pairs = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(load(None, pairs)?.config)
    }
}

/// Where a setting was made, by its dotted path.
type Sources = HashMap<String, String>;

fn load(
    file: Option<(&Path, &str)>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let mut effective: Table = DEFAULTS.parse().map_err(|error| ConfigError(format!("the defaults: {error}")))?;
    let (mut sources, mut warnings) = (Sources::new(), Vec::new());
    if let Some((path, text)) = file {
        let name = path.display().to_string();
        let table: Table = text.parse().map_err(|error| ConfigError(format!("{name} is not valid TOML.\n{error}")))?;
        lay_over(&mut effective, table, "", &name, &mut sources)?;
    }
    for (name, text) in environment {
        set_from_variable(&mut effective, &name, &text, &mut sources, &mut warnings)?;
    }
    let config: Config = serde_path_to_error::deserialize(Value::Table(effective.clone())).map_err(|error| {
        let path = error.path().to_string();
        let source = sources.get(&path).cloned().unwrap_or_else(|| format!("the setting {path}"));
        ConfigError(format!("{source}: {}", error.inner().to_string().trim()))
    })?;
    checks::refuse(&config)?;
    warnings.extend(checks::warnings(&config));
    Ok(Loaded { config, warnings, effective })
}

/// Lays a file's table over the settings so far; every key must be one that the defaults have.
fn lay_over(base: &mut Table, over: Table, at: &str, file: &str, sources: &mut Sources) -> Result<(), ConfigError> {
    for (key, value) in over {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        let known: Vec<String> = base.keys().cloned().collect();
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => lay_over(base, over, &path, file, sources)?,
            (Some(Value::Table(_)), _) => {
                return Err(ConfigError(format!("{file}: {path} is a section; write it as [{path}]")));
            }
            (Some(_), Value::Table(_)) => {
                return Err(ConfigError(format!("{file}: {path} is a setting, not a section")));
            }
            (Some(place), value) => {
                *place = value;
                sources.insert(path.clone(), format!("{file}: {path}"));
            }
            (None, _) => {
                let what =
                    if at.is_empty() { "no setting or section".to_owned() } else { format!("no setting in [{at}]") };
                let hint = nearest(&key, known.iter().map(String::as_str))
                    .map_or_else(|| "`aim config` lists all".to_owned(), |name| format!("did you mean {name:?}?"));
                return Err(ConfigError(format!("{file}: {key:?} is {what}; {hint}")));
            }
        }
    }
    Ok(())
}

/// `AIM_HTTP__PORT=80` sets `http.port`, as the type that its default has.
fn set_from_variable(
    base: &mut Table,
    name: &str,
    text: &str,
    sources: &mut Sources,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let Some(rest) = name.strip_prefix("AIM_").filter(|rest| rest.contains("__") || *rest == "PROFILE") else {
        return Ok(());
    };
    let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
    let known = variables(base, "AIM");
    let Some((last, sections)) = path.split_last() else { return Ok(()) };
    let mut table = Some(&mut *base);
    for section in sections {
        table = table.and_then(|table| table.get_mut(section)).and_then(Value::as_table_mut);
    }
    let Some(place) = table.and_then(|table| table.get_mut(last)).filter(|place| !place.is_table()) else {
        // The environment belongs to others as well, so this is told and not refused.
        let hint = nearest(name, known.iter().map(String::as_str))
            .map_or_else(String::new, |name| format!("; did you mean {name}?"));
        warnings.push(format!("{name} is no setting and does nothing{hint}"));
        return Ok(());
    };
    let wrong = |what: &str| ConfigError(format!("{name}: {text:?} is not {what}"));
    let word = text.trim();
    // As whatever fills in variables leaves those for which it has nothing.
    if word.is_empty() && has_default(&path) {
        warnings.push(format!("{name} is empty, and so does nothing"));
        return Ok(());
    }
    *place = match place {
        Value::Integer(_) => Value::Integer(word.parse().map_err(|_| wrong("a whole number"))?),
        Value::Float(_) => Value::Float(word.parse().map_err(|_| wrong("a number"))?),
        Value::Boolean(_) => Value::Boolean(match word.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => return Err(wrong("true or false")),
        }),
        Value::Array(_) => {
            let parts = word.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
        }
        _ => Value::String(word.to_owned()),
    };
    sources.insert(path.join("."), name.to_owned());
    Ok(())
}

/// Whether a setting is something where nobody sets it.
fn has_default(path: &[String]) -> bool {
    let Ok(defaults) = DEFAULTS.parse().map(Value::Table) else { return false };
    match path.iter().try_fold(&defaults, |at, key| at.get(key)) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        found => found.is_some(),
    }
}

/// The variables of all settings.
fn variables(table: &Table, prefix: &str) -> Vec<String> {
    let separator = if prefix == "AIM" { "_" } else { "__" };
    let mut names = Vec::new();
    for (key, value) in table {
        let name = format!("{prefix}{separator}{}", key.to_ascii_uppercase());
        match value {
            Value::Table(table) => names.extend(variables(table, &name)),
            _ => names.push(name),
        }
    }
    names
}

/// The name that is at most three edits away.
fn nearest<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    among.map(|other| (edits(name, other), other)).filter(|(edits, _)| *edits <= 3).min().map(|(_, other)| other)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let swap = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = swap.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn hide_secrets(table: &mut Table) {
    for (key, value) in table.iter_mut() {
        match value {
            Value::Table(table) => hide_secrets(table),
            Value::String(text) if key == "api_key" && !text.is_empty() => *text = "hidden".to_owned(),
            Value::String(text) if text.contains("://") => *text = without_secrets(text),
            _ => {}
        }
    }
}

/// `scheme://user:password@host?password=…`
fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let rest = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, host)| format!("hidden@{host}"));
    let Some((place, query)) = rest.split_once('?') else { return format!("{scheme}://{rest}") };
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if name.contains("pass") => format!("{name}=hidden"),
        _ => pair.to_owned(),
    };
    let query: Vec<String> = query.split('&').map(hide).collect();
    format!("{scheme}://{place}?{}", query.join("&"))
}

#[cfg(test)]
mod tests;
