//! Chat templates: minijinja set up to behave as transformers' Jinja2 environment.

use std::io;

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use crate::failure::{Failure, Outcome, Status};
use crate::python::{json_dumps, str_of, JsonStyle};
use crate::{generation_tag, methods, python};

/// Instructions one rendering may execute: about a second. A thousand messages take about a hundred thousand.
const FUEL: u64 = 20_000_000;
/// Bytes one rendering may write.
const OUTPUT_LIMIT: usize = 256 << 20;
/// Nesting of macros and blocks; each level takes native stack.
const RECURSION_LIMIT: usize = 200;
const NAME: &str = "chat_template";

pub struct ChatTemplate {
    environment: Environment<'static>,
}

impl ChatTemplate {
    pub fn new(source: &[u8]) -> Outcome<Self> {
        let source = std::str::from_utf8(source)
            .map_err(|e| Failure::new(Status::BadSource, format!("byte {} is not valid UTF-8", e.valid_up_to())))?;
        let mut environment = environment();
        environment
            .add_template_owned(NAME, generation_tag::accepted(&unix_lines(source)))
            .map_err(|e| Failure::new(Status::BadSource, message(&e)))?;
        Ok(ChatTemplate { environment })
    }

    /// variables: a JSON object.
    pub fn render(&self, variables: &[u8]) -> Outcome<String> {
        let variables: Value =
            serde_json::from_slice(variables).map_err(|e| Failure::new(Status::BadArgument, e.to_string()))?;
        let template = self.environment.get_template(NAME).map_err(failure)?;
        let mut out = BoundedOutput::default();
        match template.render_captured_to(variables, &mut out) {
            _ if out.exceeded => Err(Failure::new(Status::Limit, format!("wrote more than {OUTPUT_LIMIT} bytes"))),
            Err(error) => Err(failure(error)),
            Ok(_) => String::from_utf8(out.bytes).map_err(|e| Failure::new(Status::Internal, e.to_string())),
        }
    }
}

/// Jinja2 reads every line end as a line feed.
fn unix_lines(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n")
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_keep_trailing_newline(false);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_LIMIT);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|out, _, value| {
        let written = match value.as_str() {
            Some(text) => out.write_str(text),
            None => out.write_str(&str_of(value)),
        };
        written.map_err(Error::from)
    });

    environment.add_function("raise_exception", |message: Value| -> Result<Value, Error> {
        let message = str_of(&message);
        Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
    });
    environment.add_function("strftime_now", crate::clock::strftime_now);
    environment.add_function("cycler", |items: Rest<Value>| minijinja_contrib::globals::cycler(items.0));
    environment.add_function("joiner", minijinja_contrib::globals::joiner);

    environment.add_filter("tojson", tojson);
    environment.add_filter("string", |value: Value| str_of(&value));
    environment.add_filter("trim", |value: Value, characters: Option<String>| {
        python::stripped(&str_of(&value), characters.as_deref(), true, true).to_owned()
    });
    environment.add_filter("join", join);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("length", length);
    environment.add_filter("count", length);

    // Python's str and dict are sequences and iterables to Jinja2, and its bool is a number.
    let kind_is = |kinds: &'static [ValueKind]| move |value: &Value| kinds.contains(&value.kind());
    environment
        .add_test("sequence", kind_is(&[ValueKind::String, ValueKind::Seq, ValueKind::Map, ValueKind::Undefined]));
    environment.add_test(
        "iterable",
        kind_is(&[ValueKind::String, ValueKind::Seq, ValueKind::Map, ValueKind::Iterable, ValueKind::Undefined]),
    );
    environment.add_test("number", kind_is(&[ValueKind::Number, ValueKind::Bool]));
    environment
}

/// json.dumps with transformers' signature: (ensure_ascii=False, indent=None, separators=None, sort_keys=False).
fn tojson(value: &Value, positional: Rest<Value>, options: Kwargs) -> Result<Value, Error> {
    let option = |index: usize, name: &str| -> Result<Value, Error> {
        let named: Option<Value> = options.get(name)?;
        let given = named.or_else(|| positional.get(index).cloned());
        Ok(given.filter(|v| !v.is_none()).unwrap_or(Value::UNDEFINED))
    };
    let (ensure_ascii, indent) = (option(0, "ensure_ascii")?, option(1, "indent")?);
    let (separators, sort_keys) = (option(2, "separators")?, option(3, "sort_keys")?);
    options.assert_all_used()?;
    let indent = match indent.kind() {
        ValueKind::Undefined => None,
        ValueKind::String => indent.as_str().map(str::to_owned),
        _ => Some(" ".repeat(i64::try_from(indent)?.clamp(0, 64) as usize)),
    };
    let (item_separator, key_separator) = if separators.is_undefined() {
        (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned())
    } else {
        (str_of(&separators.get_item(&Value::from(0))?), str_of(&separators.get_item(&Value::from(1))?))
    };
    let style = JsonStyle {
        ensure_ascii: ensure_ascii.is_true(),
        indent,
        item_separator,
        key_separator,
        sort_keys: sort_keys.is_true(),
    };
    json_dumps(value, &style).map(Value::from)
}

fn join(value: &Value, separator: Option<Value>, options: Kwargs) -> Result<String, Error> {
    let attribute: Option<String> = options.get("attribute")?;
    let separator = match separator {
        Some(separator) => str_of(&separator),
        None => options.get::<Option<String>>("d")?.unwrap_or_default(),
    };
    options.assert_all_used()?;
    let mut pieces = Vec::new();
    for item in value.try_iter()? {
        let item = match &attribute {
            Some(attribute) => item.get_attr(attribute)?,
            None => item,
        };
        pieces.push(str_of(&item));
    }
    Ok(pieces.join(&separator))
}

/// int(value), and `default` (0) for what Python can't read as a number.
fn int(value: Value, default: Option<Value>) -> Value {
    let read = match value.kind() {
        ValueKind::String => {
            let text = python::stripped(value.as_str().unwrap_or_default(), None, true, true);
            text.parse::<i64>().ok().map(Value::from).or_else(|| truncated(text.parse().ok()?))
        }
        ValueKind::Bool => Some(Value::from(i64::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => Some(value),
        ValueKind::Number => f64::try_from(value).ok().and_then(truncated),
        _ => None,
    };
    read.unwrap_or_else(|| default.unwrap_or_else(|| Value::from(0)))
}

fn truncated(number: f64) -> Option<Value> {
    (number.abs() < 9.2e18).then(|| Value::from(number as i64))
}

/// float(value), and `default` (0.0) for what Python can't read as a number.
fn float(value: Value, default: Option<Value>) -> Value {
    let read = match value.kind() {
        ValueKind::String => python::stripped(value.as_str().unwrap_or_default(), None, true, true).parse::<f64>().ok(),
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value).ok(),
        _ => None,
    };
    read.map(Value::from).unwrap_or_else(|| default.unwrap_or_else(|| Value::from(0.0)))
}

/// markupsafe.escape.
fn escape(value: Value) -> String {
    let text = str_of(&value).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('\'', "&#39;").replace('"', "&#34;")
}

/// As minijinja's, and 0 for an undefined value as in Jinja2.
fn length(value: &Value) -> Result<usize, Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(0),
        _ => value.len().ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, format!("a value that is {} has no length", value.kind()))
        }),
    }
}

/// Marks the errors that the template raised itself.
#[derive(Debug)]
struct Raised(String);

impl std::fmt::Display for Raised {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn failure(error: Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(Raised(message)) = current.downcast_ref::<Raised>() {
            return Failure::new(Status::Raised, message.clone());
        }
        if let Some(inner) = current.downcast_ref::<Error>() {
            let detail = inner.detail().unwrap_or_default();
            if inner.kind() == ErrorKind::OutOfFuel {
                return Failure::new(Status::Limit, format!("ran for more than {FUEL} steps"));
            }
            if detail.contains("recursion limit exceeded") {
                return Failure::new(Status::Limit, format!("nested more than {RECURSION_LIMIT} deep"));
            }
        }
        cause = current.source();
    }
    Failure::new(Status::TemplateFailed, message(&error))
}

/// "line 3: unknown filter: filter foo is unknown".
fn message(error: &Error) -> String {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    error.line().map_or(what.clone(), |line| format!("line {line}: {what}"))
}

#[derive(Default)]
struct BoundedOutput {
    bytes: Vec<u8>,
    exceeded: bool,
}

impl io::Write for BoundedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > OUTPUT_LIMIT - self.bytes.len() {
            self.exceeded = true;
            return Err(io::Error::other("too much output"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
