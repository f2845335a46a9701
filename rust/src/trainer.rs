//! Training a byte-level BPE tokenizer.

use tokenizers::models::bpe::{BpeTrainer, BPE};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::{AddedToken, SplitDelimiterBehavior, TokenizerBuilder};
use tokenizers::PreTokenizerWrapper;

use crate::failure::{Failure, Outcome, Status};
use crate::tokenizer::checked_utf8;

/// Where Qwen's tokenizers cut a text into words: contractions, words, single digits, punctuation, line ends, spaces.
const WORDS: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The contents of a tokenizer.json. The same input gives the same bytes: ties between pairs go to the lower ids.
pub fn train(texts: &[&[u8]], special_tokens: &[&[u8]], vocab_size: usize, min_frequency: usize) -> Outcome<String> {
    let internal = |error: &dyn std::fmt::Display| Failure::new(Status::Internal, error.to_string());
    let texts = checked_utf8(texts)?;
    let special_tokens = checked_utf8(special_tokens)?;

    let words = Split::new(SplitPattern::Regex(WORDS.into()), SplitDelimiterBehavior::Isolated, false)
        .map_err(|e| internal(&e))?;
    let byte_level = ByteLevel::new(false, false, false);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(Some(NFC))
        .with_pre_tokenizer(Some(Sequence::new(vec![
            PreTokenizerWrapper::Split(words),
            PreTokenizerWrapper::ByteLevel(byte_level),
        ])))
        .with_post_processor(Some(byte_level))
        .with_decoder(Some(byte_level))
        .build()
        .map_err(|e| internal(&e))?;
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(min_frequency as u64)
        .show_progress(false)
        .special_tokens(special_tokens.into_iter().map(|token| AddedToken::from(token, true)).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut trainer, texts.into_iter()).map_err(|e| internal(&e))?;
    tokenizer.to_string(true).map_err(|e| internal(&e))
}
