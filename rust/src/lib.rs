//! Tokenizers and chat templates for moelora, behind the C interface of `include/moelora_text.h`.

mod clock;
mod failure;
mod ffi;
mod generation_tag;
mod methods;
mod python;
mod template;
mod tokenizer;
mod trainer;
