//! The one error type of this crate; `status` values are those of `MoeloraStatus`.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    Ok = 0,
    InvalidUtf8 = 1,
    BadSource = 2,
    Raised = 3,
    TemplateFailed = 4,
    Limit = 5,
    BadArgument = 6,
    Internal = 7,
}

#[derive(Debug)]
pub struct Failure {
    pub status: Status,
    pub message: String,
    /// Index of the text the failure is about, where there were several.
    pub text_index: usize,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Failure { status, message: message.into(), text_index: 0 }
    }

    pub fn at(mut self, text_index: usize) -> Self {
        self.text_index = text_index;
        self
    }
}

pub type Outcome<T> = Result<T, Failure>;
