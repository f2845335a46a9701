//! `strftime_now`: Python's `datetime.now().strftime(format)`.

use std::ffi::CString;
use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::{Error, ErrorKind};

pub fn strftime_now(format: &str) -> Result<String, Error> {
    let failed = |what: &str| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {what}"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| failed("the clock is before 1970"))?;
    let format = naive(format, now.subsec_micros());
    let format = CString::new(format).map_err(|_| failed("a NUL in the format"))?;
    // SAFETY: `time` and `buffer` are valid for the calls; strftime writes at most buffer.len() bytes and returns how many.
    let mut buffer = [0u8; 512];
    let written = unsafe {
        let seconds = now.as_secs() as libc::time_t;
        let mut time: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&seconds, &mut time).is_null() {
            return Err(failed("no local time"));
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &time)
    };
    if written == 0 && !format.as_bytes().is_empty() {
        return Err(failed("the result is empty or too long"));
    }
    Ok(String::from_utf8_lossy(&buffer[..written]).into_owned())
}

/// The directives that Python fills itself: %f, and %z and %Z, which are empty without a time zone.
fn naive(format: &str, microseconds: u32) -> String {
    let mut out = String::with_capacity(format.len());
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('f') => out.push_str(&format!("{microseconds:06}")),
            Some('z' | 'Z') => {}
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}
