//! Loading, encoding and decoding with the `tokenizers` crate.

use std::collections::HashMap;

use serde::Deserialize;
use tokenizers::tokenizer::{AddedToken, Tokenizer};
use tokenizers::{DecoderWrapper, ModelWrapper};

use crate::failure::{Failure, Outcome, Status};

/// What transformers takes from tokenizer_config.json on top of tokenizer.json.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    added_tokens: Vec<TokenSetting>,
    #[serde(default)]
    split_special_tokens: bool,
}

#[derive(Deserialize)]
struct TokenSetting {
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    single_word: bool,
    /// Absent where only the name and `special` are known.
    normalized: Option<bool>,
}

impl TokenSetting {
    fn holds_for(&self, known: Option<&&AddedToken>) -> bool {
        known.is_some_and(|known| {
            known.special == self.special
                && self.normalized.is_none_or(|normalized| {
                    (normalized, self.lstrip, self.rstrip, self.single_word)
                        == (known.normalized, known.lstrip, known.rstrip, known.single_word)
                })
        })
    }

    fn token(self) -> AddedToken {
        let normalized = self.normalized.unwrap_or(!self.special);
        let token = AddedToken::from(self.content, self.special).normalized(normalized);
        token.lstrip(self.lstrip).rstrip(self.rstrip).single_word(self.single_word)
    }
}

pub struct TextTokenizer {
    inner: Tokenizer,
}

impl TextTokenizer {
    pub fn new(contents: &[u8], settings: Settings) -> Outcome<Self> {
        let bad = |error: &dyn std::fmt::Display| Failure::new(Status::BadSource, error.to_string());
        let mut inner = Tokenizer::from_bytes(contents).map_err(|e| bad(&e))?;
        // As transformers unless asked: whole texts, no padding. Dropout would make encoding random.
        inner.with_truncation(None).map_err(|e| bad(&e))?;
        inner.with_padding(None);
        if let ModelWrapper::BPE(bpe) = inner.get_model() {
            if bpe.dropout.is_some() {
                let mut deterministic = bpe.clone();
                deterministic.dropout = None;
                inner.with_model(deterministic);
            }
        }

        let known = inner.get_added_tokens_decoder();
        let known: HashMap<&str, &AddedToken> = known.values().map(|token| (token.content.as_str(), token)).collect();
        let missing =
            settings.added_tokens.into_iter().filter(|setting| !setting.holds_for(known.get(setting.content.as_str())));
        let missing: Vec<AddedToken> = missing.map(TokenSetting::token).collect();
        if !missing.is_empty() {
            inner.add_tokens(missing).map_err(|e| bad(&e))?;
        }
        inner.set_encode_special_tokens(settings.split_special_tokens);
        Ok(TextTokenizer { inner })
    }

    pub fn encode(&self, texts: &[&[u8]], add_special_tokens: bool) -> Outcome<(Vec<i32>, Vec<i32>)> {
        let texts = checked_utf8(texts)?;
        let encoded = if let [text] = texts[..] {
            self.inner.encode_fast(text, add_special_tokens).map(|encoding| vec![encoding])
        } else {
            self.inner.encode_batch_fast(texts, add_special_tokens)
        };
        let encoded = encoded.map_err(|e| Failure::new(Status::BadSource, e.to_string()))?;
        let mut ids = Vec::with_capacity(encoded.iter().map(|encoding| encoding.len()).sum());
        let mut ends = Vec::with_capacity(encoded.len());
        for encoding in &encoded {
            ids.extend(encoding.get_ids().iter().map(|&id| id as i32));
            let end = i32::try_from(ids.len());
            ends.push(end.map_err(|_| Failure::new(Status::Limit, "more than 2^31 tokens in one call"))?);
        }
        Ok((ids, ends))
    }

    pub fn decode(&self, ids: &[i32], skip_special_tokens: bool) -> Outcome<String> {
        // A negative id becomes one that no vocabulary has.
        let ids: Vec<u32> = ids.iter().map(|&id| u32::try_from(id).unwrap_or(u32::MAX)).collect();
        self.inner.decode(&ids, skip_special_tokens).map_err(|e| Failure::new(Status::BadSource, e.to_string()))
    }

    pub fn token_to_id(&self, token: &str) -> Option<i32> {
        self.inner.token_to_id(token).and_then(|id| i32::try_from(id).ok())
    }

    pub fn id_to_token(&self, id: i32) -> Option<String> {
        self.inner.id_to_token(u32::try_from(id).ok()?)
    }

    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    pub fn id_limit(&self) -> i64 {
        self.inner.get_vocab(true).values().map(|&id| i64::from(id) + 1).max().unwrap_or(0)
    }

    pub fn special_ids(&self) -> Vec<i32> {
        let vocabulary = self.inner.get_added_vocabulary();
        let special = |token: &&AddedToken| vocabulary.is_special_token(&token.content);
        let mut ids: Vec<i32> = vocabulary
            .get_added_tokens_decoder()
            .values()
            .filter(special)
            .filter_map(|t| self.token_to_id(&t.content))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    pub fn has_byte_fallback_decoder(&self) -> bool {
        match self.inner.get_decoder() {
            Some(DecoderWrapper::ByteFallback(_)) => true,
            Some(DecoderWrapper::Sequence(sequence)) => {
                sequence.get_decoders().iter().any(|decoder| matches!(decoder, DecoderWrapper::ByteFallback(_)))
            }
            _ => false,
        }
    }
}

/// The texts as UTF-8, or which one is not, and where.
pub fn checked_utf8<'a>(texts: &[&'a [u8]]) -> Outcome<Vec<&'a str>> {
    let check = |(index, text): (usize, &&'a [u8])| {
        std::str::from_utf8(text).map_err(|error| {
            Failure::new(Status::InvalidUtf8, format!("byte {} is not valid UTF-8", error.valid_up_to())).at(index)
        })
    };
    texts.iter().enumerate().map(check).collect()
}
