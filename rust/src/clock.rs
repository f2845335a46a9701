//! `strftime_now`: Python's `datetime.now().strftime(format)`, on a day that is always the same.
//!
//! Templates that ask for the date put it into every prompt. Prompts of a clock would be other ones tomorrow: a resumed run would go on with other rows, and
//! an evaluation would read what training never saw.

use std::ffi::CString;

use minijinja::{Error, ErrorKind};

/// 26 July 2024, 00:00: the day that Llama 3.1's and 3.2's own templates fall back to.
const DAY: libc::time_t = 1_721_952_000;

pub fn strftime_now(format: &str) -> Result<String, Error> {
    let failed = |what: &str| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {what}"));
    let format = CString::new(naive(format)).map_err(|_| failed("a NUL in the format"))?;
    // SAFETY: `time` and `buffer` are valid for the calls; strftime writes at most buffer.len() bytes and returns how many.
    let mut buffer = [0u8; 512];
    let written = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        if libc::gmtime_r(&DAY, &mut time).is_null() {
            return Err(failed("no such day"));
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &time)
    };
    if written == 0 && !format.as_bytes().is_empty() {
        return Err(failed("the result is empty or too long"));
    }
    Ok(String::from_utf8_lossy(&buffer[..written]).into_owned())
}

/// The directives that Python fills itself: %f, and %z and %Z, which are empty without a time zone.
fn naive(format: &str) -> String {
    let mut out = String::with_capacity(format.len());
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('f') => out.push_str("000000"),
            Some('z' | 'Z') => {}
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}
