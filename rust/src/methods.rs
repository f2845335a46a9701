//! Methods of Python's str and list that minijinja's own compatibility layer lacks, or counts in bytes.

use minijinja::value::{from_args, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat;

use crate::python::{is_space, str_of, stripped};

/// What `value.method(args)` is where minijinja knows none.
pub fn call(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let result = match value.kind() {
        ValueKind::String => on_string(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Seq => on_list(value, method, args)?,
        ValueKind::Map => on_dict(value, method, args)?,
        _ => None,
    };
    match result {
        Some(result) => Ok(result),
        None => pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn on_string(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let strip = |start: bool, end: bool| -> Result<Value, Error> {
        let (characters,): (Option<&str>,) = from_args(args)?;
        Ok(Value::from(stripped(text, characters, start, end)))
    };
    Ok(Some(match method {
        "strip" => strip(true, true)?,
        "lstrip" => strip(true, false)?,
        "rstrip" => strip(false, true)?,
        "find" | "index" | "rfind" | "rindex" => {
            let (needle,): (&str,) = from_args(args)?;
            let found = if method.starts_with('r') { text.rfind(needle) } else { text.find(needle) };
            match found {
                Some(byte) => Value::from(text[..byte].chars().count()),
                None if method.ends_with("find") => Value::from(-1),
                None => return Err(Error::new(ErrorKind::InvalidOperation, "substring not found")),
            }
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (head, tail) = text.split_once(separator).map_or((text, None), |(a, b)| (a, Some(b)));
            strings([head, tail.map_or("", |_| separator), tail.unwrap_or("")])
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (head, tail) = text.rsplit_once(separator).map_or((None, text), |(a, b)| (Some(a), b));
            strings([head.unwrap_or(""), head.map_or("", |_| separator), tail])
        }
        "split" | "rsplit" => {
            let (separator, most): (Option<&str>, Option<i64>) = from_args(args)?;
            let pieces = split(text, separator, most.unwrap_or(-1), method == "rsplit")?;
            Value::from(pieces)
        }
        "splitlines" => {
            let (keep_ends,): (Option<bool>,) = from_args(args)?;
            Value::from(split_lines(text, keep_ends.unwrap_or(false)))
        }
        "join" => {
            let (items,): (&Value,) = from_args(args)?;
            let mut pieces = Vec::new();
            for item in items.try_iter()? {
                let piece = item.as_str().map(str::to_owned);
                pieces
                    .push(piece.ok_or_else(|| {
                        Error::new(ErrorKind::InvalidOperation, "join: an item that is not a string")
                    })?);
            }
            Value::from(pieces.join(text))
        }
        "isspace" => Value::from(!text.is_empty() && text.chars().all(is_space)),
        "isalpha" => Value::from(!text.is_empty() && text.chars().all(char::is_alphabetic)),
        "isalnum" => Value::from(!text.is_empty() && text.chars().all(char::is_alphanumeric)),
        "isdigit" | "isdecimal" | "isnumeric" => Value::from(!text.is_empty() && text.chars().all(char::is_numeric)),
        "islower" => Value::from(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)),
        "isupper" => Value::from(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)),
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let missing = width.min(1 << 16).saturating_sub(text.chars().count());
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            Value::from(format!("{sign}{}{digits}", "0".repeat(missing)))
        }
        _ => return Ok(None),
    }))
}

fn on_list(list: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "index" => {
            let (wanted,): (&Value,) = from_args(args)?;
            let position = list.try_iter()?.position(|item| item == *wanted);
            Value::from(
                position.ok_or_else(|| {
                    Error::new(ErrorKind::InvalidOperation, format!("{} is not in list", str_of(wanted)))
                })?,
            )
        }
        "copy" => list.clone(),
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => {
            return Err(immutable(method))
        }
        _ => return Ok(None),
    }))
}

fn on_dict(dict: &Value, method: &str, _args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "copy" => dict.clone(),
        "update" | "pop" | "popitem" | "setdefault" | "clear" => return Err(immutable(method)),
        _ => return Ok(None),
    }))
}

fn strings<const N: usize>(pieces: [&str; N]) -> Value {
    pieces.into_iter().map(Value::from).collect()
}

/// transformers renders in Jinja2's immutable sandbox: what changes a value in place is refused there too.
fn immutable(method: &str) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("`{method}` would change a value in place, which templates may not"),
    )
}

fn split(text: &str, separator: Option<&str>, most: i64, from_right: bool) -> Result<Vec<String>, Error> {
    let most = usize::try_from(most).ok();
    let Some(separator) = separator else {
        return Ok(split_space(text, most, from_right));
    };
    if separator.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "empty separator"));
    }
    let owned = |pieces: Vec<&str>| pieces.into_iter().map(str::to_owned).collect();
    Ok(match (most, from_right) {
        (None, _) => owned(text.split(separator).collect()),
        (Some(most), false) => owned(text.splitn(most + 1, separator).collect()),
        (Some(most), true) => owned(text.rsplitn(most + 1, separator).collect::<Vec<_>>().into_iter().rev().collect()),
    })
}

/// `str.split()` without separator: runs of white space, no empty pieces; what is left after `most` cuts stays as it is at its far end.
fn split_space(text: &str, most: Option<usize>, from_right: bool) -> Vec<String> {
    let near = |rest: &'_ str| -> usize { stripped(rest, None, !from_right, from_right).len() };
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let kept = near(rest);
        rest = if from_right { &rest[..kept] } else { &rest[rest.len() - kept..] };
        if rest.is_empty() {
            break;
        }
        let cut = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(cut) = cut.filter(|_| most.is_none_or(|most| pieces.len() < most)) else {
            pieces.push(rest.to_owned());
            break;
        };
        let after = cut + rest[cut..].chars().next().map_or(0, char::len_utf8);
        if from_right {
            pieces.push(rest[after..].to_owned());
            rest = &rest[..cut];
        } else {
            pieces.push(rest[..cut].to_owned());
            rest = &rest[after..];
        }
    }
    if from_right {
        pieces.reverse();
    }
    pieces
}

/// `str.splitlines`: every line end that Python knows.
fn split_lines(text: &str, keep_ends: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let ends = matches!(
            character,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        );
        if !ends {
            continue;
        }
        let mut after = at + character.len_utf8();
        if character == '\r' && characters.next_if(|&(_, next)| next == '\n').is_some() {
            after += 1;
        }
        lines.push(text[start..if keep_ends { after } else { at }].to_owned());
        start = after;
    }
    if start < text.len() {
        lines.push(text[start..].to_owned());
    }
    lines
}
