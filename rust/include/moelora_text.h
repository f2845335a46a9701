/* C interface of the Rust library: tokenizers and chat templates. Used by src/text only.
 *
 * Every function returns a MoeloraStatus unless it says otherwise; where that is not MOELORA_OK, *error holds a message
 * without file name (release it). No panic and no C++ exception crosses. Strings are UTF-8, not NUL-terminated. Handles
 * are immutable: any number of threads may use one at once. An output buffer is written only on MOELORA_OK. */
#ifndef MOELORA_TEXT_H_
#define MOELORA_TEXT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MoeloraStatus {
  MOELORA_OK = 0,
  MOELORA_INVALID_UTF8 = 1,    /* text to encode */
  MOELORA_BAD_SOURCE = 2,      /* not a tokenizer.json, not a template */
  MOELORA_RAISED = 3,          /* the template called raise_exception: the message is its own */
  MOELORA_TEMPLATE_FAILED = 4, /* the template failed on these messages */
  MOELORA_LIMIT = 5,           /* the template ran too long, nested too deep or wrote too much */
  MOELORA_BAD_ARGUMENT = 6,
  MOELORA_INTERNAL = 7 /* a panic in the library */
} MoeloraStatus;

/* Borrowed text. */
typedef struct MoeloraSlice {
  const char* data;
  size_t size;
} MoeloraSlice;

/* Owned by the library until moelora_bytes_release / moelora_ids_release. */
typedef struct MoeloraBytes {
  char* data;
  size_t size;
  size_t capacity;
} MoeloraBytes;

typedef struct MoeloraIds {
  int32_t* data;
  size_t size;
  size_t capacity;
} MoeloraIds;

void moelora_bytes_release(MoeloraBytes bytes);
void moelora_ids_release(MoeloraIds ids);

typedef struct MoeloraTokenizer MoeloraTokenizer;

/* contents: a tokenizer.json. settings: "" or a JSON object with what transformers takes from tokenizer_config.json:
 *   added_tokens: [{content, special, lstrip, rstrip, single_word, normalized}], added where absent
 *   split_special_tokens: true to treat special tokens in a text as plain text */
MoeloraStatus moelora_tokenizer_new(MoeloraSlice contents, MoeloraSlice settings, MoeloraTokenizer** tokenizer,
                                    MoeloraBytes* error);
void moelora_tokenizer_free(MoeloraTokenizer* tokenizer);

typedef struct MoeloraTokenizerFacts {
  int64_t vocab_size; /* added tokens included */
  int64_t id_limit;   /* largest id + 1 */
  bool byte_fallback; /* the decoder joins runs of tokens such as <0xE4> into characters */
} MoeloraTokenizerFacts;

/* special_ids: sorted. */
MoeloraStatus moelora_tokenizer_facts(const MoeloraTokenizer* tokenizer, MoeloraTokenizerFacts* facts,
                                      MoeloraIds* special_ids, MoeloraBytes* error);

/* ids: those of all texts, one after another; ends: for each text, where its ids end. bad_text: on an error, the text
 * it is about. */
MoeloraStatus moelora_tokenizer_encode(const MoeloraTokenizer* tokenizer, const MoeloraSlice* texts, size_t text_count,
                                       bool add_special_tokens, MoeloraIds* ids, MoeloraIds* ends, size_t* bad_text,
                                       MoeloraBytes* error);
MoeloraStatus moelora_tokenizer_decode(const MoeloraTokenizer* tokenizer, const int32_t* ids, size_t id_count,
                                       bool skip_special_tokens, MoeloraBytes* text, MoeloraBytes* error);
/* -1 where the vocabulary has no such token. */
int32_t moelora_tokenizer_token_to_id(const MoeloraTokenizer* tokenizer, MoeloraSlice token);
/* false where the id has no token. */
bool moelora_tokenizer_id_to_token(const MoeloraTokenizer* tokenizer, int32_t id, MoeloraBytes* token);

/* Byte-level BPE; json: the contents of a tokenizer.json. bad_text: as above. */
MoeloraStatus moelora_train_bpe(const MoeloraSlice* texts, size_t text_count, const MoeloraSlice* special_tokens,
                                size_t special_token_count, size_t vocab_size, size_t min_frequency, MoeloraBytes* json,
                                size_t* bad_text, MoeloraBytes* error);

typedef struct MoeloraTemplate MoeloraTemplate;

MoeloraStatus moelora_template_new(MoeloraSlice source, MoeloraTemplate** chat_template, MoeloraBytes* error);
/* variables: a JSON object, the template's context. */
MoeloraStatus moelora_template_render(const MoeloraTemplate* chat_template, MoeloraSlice variables, MoeloraBytes* text,
                                      MoeloraBytes* error);
void moelora_template_free(MoeloraTemplate* chat_template);

#ifdef __cplusplus
}
#endif

#endif /* MOELORA_TEXT_H_ */
