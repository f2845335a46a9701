//! Tokenizers and chat templates for moelora, behind the C interface of `include/moelora_text.h`.

mod clock;
pub mod failure;
mod ffi;
mod generation_tag;
mod methods;
mod python;
pub mod template;
pub mod tokenizer;
pub mod trainer;
