//! The C interface. Every function catches panics; messages of errors come back in `error`.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

use crate::failure::{Failure, Outcome, Status};
use crate::template::ChatTemplate;
use crate::tokenizer::{Settings, TextTokenizer};
use crate::trainer;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct MoeloraSlice {
    data: *const u8,
    size: usize,
}

impl MoeloraSlice {
    /// SAFETY: the caller's `data` is valid for `size` bytes while the call runs.
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        slice(self.data, self.size)
    }
}

unsafe fn slice<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

/// A vector handed to the caller until it is released.
#[repr(C)]
pub struct Owned<T> {
    data: *mut T,
    size: usize,
    capacity: usize,
}

impl<T> From<Vec<T>> for Owned<T> {
    fn from(vector: Vec<T>) -> Self {
        let mut vector = std::mem::ManuallyDrop::new(vector);
        Owned { data: vector.as_mut_ptr(), size: vector.len(), capacity: vector.capacity() }
    }
}

impl<T> Owned<T> {
    unsafe fn release(self) {
        if !self.data.is_null() {
            drop(Vec::from_raw_parts(self.data, self.size, self.capacity));
        }
    }
}

type MoeloraBytes = Owned<u8>;
type MoeloraIds = Owned<i32>;

/// SAFETY of every function below: pointers are what the header says, valid for the call.
#[no_mangle]
pub unsafe extern "C" fn moelora_bytes_release(bytes: MoeloraBytes) {
    bytes.release();
}

#[no_mangle]
pub unsafe extern "C" fn moelora_ids_release(ids: MoeloraIds) {
    ids.release();
}

/// Runs `work`; a failure or a panic becomes a status and a message.
unsafe fn guarded(error: *mut MoeloraBytes, bad_text: *mut usize, work: impl FnOnce() -> Outcome<()>) -> i32 {
    static QUIET: Once = Once::new();
    // The message reaches the caller; the default hook would print it as well.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return Status::Ok as i32,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Failure::new(Status::Internal, format!("panic in the text library: {text}"))
        }
    };
    if !bad_text.is_null() {
        *bad_text = failure.text_index;
    }
    error.write(failure.message.into_bytes().into());
    failure.status as i32
}

#[no_mangle]
pub unsafe extern "C" fn moelora_tokenizer_new(
    contents: MoeloraSlice,
    settings: MoeloraSlice,
    tokenizer: *mut *mut TextTokenizer,
    error: *mut MoeloraBytes,
) -> i32 {
    guarded(error, std::ptr::null_mut(), || {
        let settings = match settings.bytes() {
            [] => Settings::default(),
            json => serde_json::from_slice(json).map_err(|e| Failure::new(Status::BadArgument, e.to_string()))?,
        };
        *tokenizer = Box::into_raw(Box::new(TextTokenizer::new(contents.bytes(), settings)?));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn moelora_tokenizer_free(tokenizer: *mut TextTokenizer) {
    if !tokenizer.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(tokenizer))));
    }
}

#[repr(C)]
pub struct MoeloraTokenizerFacts {
    vocab_size: i64,
    id_limit: i64,
    byte_fallback: bool,
}

#[no_mangle]
pub unsafe extern "C" fn moelora_tokenizer_facts(
    tokenizer: *const TextTokenizer,
    facts: *mut MoeloraTokenizerFacts,
    special_ids: *mut MoeloraIds,
    error: *mut MoeloraBytes,
) -> i32 {
    guarded(error, std::ptr::null_mut(), || {
        let tokenizer = &*tokenizer;
        facts.write(MoeloraTokenizerFacts {
            vocab_size: tokenizer.vocab_size() as i64,
            id_limit: tokenizer.id_limit(),
            byte_fallback: tokenizer.has_byte_fallback_decoder(),
        });
        special_ids.write(tokenizer.special_ids().into());
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn moelora_tokenizer_encode(
    tokenizer: *const TextTokenizer,
    texts: *const MoeloraSlice,
    text_count: usize,
    add_special_tokens: bool,
    ids: *mut MoeloraIds,
    ends: *mut MoeloraIds,
    bad_text: *mut usize,
    error: *mut MoeloraBytes,
) -> i32 {
    guarded(error, bad_text, || {
        let texts: Vec<&[u8]> = slice(texts, text_count).iter().map(|text| text.bytes()).collect();
        let (all_ids, all_ends) = (*tokenizer).encode(&texts, add_special_tokens)?;
        ids.write(all_ids.into());
        ends.write(all_ends.into());
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn moelora_tokenizer_decode(
    tokenizer: *const TextTokenizer,
    ids: *const i32,
    id_count: usize,
    skip_special_tokens: bool,
    text: *mut MoeloraBytes,
    error: *mut MoeloraBytes,
) -> i32 {
    guarded(error, std::ptr::null_mut(), || {
        let decoded = (*tokenizer).decode(slice(ids, id_count), skip_special_tokens)?;
        text.write(decoded.into_bytes().into());
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn moelora_tokenizer_token_to_id(tokenizer: *const TextTokenizer, token: MoeloraSlice) -> i32 {
    let tokenizer = &*tokenizer;
    let find = || std::str::from_utf8(token.bytes()).ok().and_then(|token| tokenizer.token_to_id(token));
    catch_unwind(AssertUnwindSafe(find)).ok().flatten().unwrap_or(-1)
}

#[no_mangle]
pub unsafe extern "C" fn moelora_tokenizer_id_to_token(
    tokenizer: *const TextTokenizer,
    id: i32,
    token: *mut MoeloraBytes,
) -> bool {
    let tokenizer = &*tokenizer;
    match catch_unwind(AssertUnwindSafe(|| tokenizer.id_to_token(id))).ok().flatten() {
        Some(found) => {
            token.write(found.into_bytes().into());
            true
        }
        None => false,
    }
}

#[no_mangle]
pub unsafe extern "C" fn moelora_train_bpe(
    texts: *const MoeloraSlice,
    text_count: usize,
    special_tokens: *const MoeloraSlice,
    special_token_count: usize,
    vocab_size: usize,
    min_frequency: usize,
    json: *mut MoeloraBytes,
    bad_text: *mut usize,
    error: *mut MoeloraBytes,
) -> i32 {
    guarded(error, bad_text, || {
        let texts: Vec<&[u8]> = slice(texts, text_count).iter().map(|text| text.bytes()).collect();
        let specials: Vec<&[u8]> =
            slice(special_tokens, special_token_count).iter().map(|token| token.bytes()).collect();
        json.write(trainer::train(&texts, &specials, vocab_size, min_frequency)?.into_bytes().into());
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn moelora_template_new(
    source: MoeloraSlice,
    chat_template: *mut *mut ChatTemplate,
    error: *mut MoeloraBytes,
) -> i32 {
    guarded(error, std::ptr::null_mut(), || {
        *chat_template = Box::into_raw(Box::new(ChatTemplate::new(source.bytes())?));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn moelora_template_render(
    chat_template: *const ChatTemplate,
    variables: MoeloraSlice,
    text: *mut MoeloraBytes,
    error: *mut MoeloraBytes,
) -> i32 {
    guarded(error, std::ptr::null_mut(), || {
        text.write((*chat_template).render(variables.bytes())?.into_bytes().into());
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn moelora_template_free(chat_template: *mut ChatTemplate) {
    if !chat_template.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(chat_template))));
    }
}
