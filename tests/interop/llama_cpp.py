"""The real llama.cpp, through its C interface, and its own converter of base models (scripts/fetch-llama-cpp).

Only what the tests need: load a base and an adapter from GGUF, logits of token ids. Large structs that are passed by value
are taken as opaque bytes with llama.cpp's own defaults; only fields at their beginning, which are stable, are set.
"""
import contextlib
import ctypes
import importlib.util
import functools
import io
import json
import logging
import pathlib
import sys
import unittest.mock

import torch

FOLDER = pathlib.Path(__file__).resolve().parents[2] / ".deps/llama.cpp"


def read_config(folder, *_):
    """As it stands: transformers 5 would rename rope's keys, which this converter doesn't know yet. It also looks for the
    length before scaling outside `rope_scaling`, and for ChatGLM's sizes under other names than its files have."""
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    length = (config.get("rope_scaling") or {}).get("original_max_position_embeddings")
    if length is not None:
        config["original_max_position_embeddings"] = length
    if config["model_type"] == "phi3":
        config.setdefault("original_max_position_embeddings", config["max_position_embeddings"])
    if config["model_type"] == "chatglm":
        config |= {"num_hidden_layers": config["num_layers"], "vocab_size": config["padded_vocab_size"]}
    return config


def convert(model, gguf, kind="f32"):
    """A Hugging Face directory (config.json with the keys of transformers 4) as GGUF, by llama.cpp's convert_hf_to_gguf.py."""
    logging.disable(logging.INFO)
    sys.path.insert(0, str(FOLDER / "convert/gguf-py"))
    sys.path.insert(0, str(FOLDER / "convert"))
    # It imports these for models that aren't converted here.
    for name in ("mistral_common", "mistral_common.tokens", "mistral_common.tokens.tokenizers",
                 *(f"mistral_common.tokens.tokenizers.{part}" for part in ("base", "multimodal", "tekken", "sentencepiece"))):
        sys.modules.setdefault(name, unittest.mock.MagicMock())
    spec = importlib.util.spec_from_file_location("convert_hf_to_gguf", FOLDER / "convert/convert_hf_to_gguf.py")
    converter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(converter)
    # The fixtures' tokenizer is the same for all families and none of those it knows by hash; ids are compared here, never text.
    converter.TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
    converter.TextModel._create_vocab_sentencepiece = lambda self: ([None] * self.hparams["vocab_size"], [], [])
    for kind_of_model in list(vars(converter).values()):
        if isinstance(kind_of_model, type) and issubclass(kind_of_model, converter.TextModel):
            kind_of_model.set_vocab = converter.TextModel._set_vocab_gpt2
    converter.ModelBase.load_hparams = staticmethod(read_config)
    before = sys.argv
    sys.argv = ["convert", str(model), "--outfile", str(gguf), "--outtype", kind]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            converter.main()
    finally:
        sys.argv = before


class Opaque(ctypes.Structure):
    """Larger than any of the parameter structs: they lie in memory, and what is beyond isn't looked at."""
    _fields_ = [("words", ctypes.c_uint32 * 256)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


MESSAGES = []
# For the whole process, as llama.cpp keeps it: it must outlive every model.
LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(
    lambda level, text, _: MESSAGES.append(text.decode(errors="replace")))


@functools.cache
def library():
    flags = ctypes.RTLD_GLOBAL
    ctypes.CDLL(str(FOLDER / "lib/libggml-base.so"), flags)
    ggml = ctypes.CDLL(str(FOLDER / "lib/libggml.v0.5.0.so"), flags)
    ggml.ggml_backend_load_all_from_path(str(FOLDER / "lib").encode())
    llama = ctypes.CDLL(str(FOLDER / "lib/libllama.v0.5.0.so"), flags)
    for name, result, arguments in (
            ("llama_model_default_params", Opaque, []),
            ("llama_context_default_params", Opaque, []),
            ("llama_model_load_from_file", ctypes.c_void_p, [ctypes.c_char_p, Opaque]),
            ("llama_init_from_model", ctypes.c_void_p, [ctypes.c_void_p, Opaque]),
            ("llama_adapter_lora_init", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
            ("llama_set_adapters_lora", ctypes.c_int32,
             [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.POINTER(ctypes.c_float)]),
            ("llama_decode", ctypes.c_int32, [ctypes.c_void_p, Batch]),
            ("llama_get_logits", ctypes.POINTER(ctypes.c_float), [ctypes.c_void_p]),
            ("llama_get_memory", ctypes.c_void_p, [ctypes.c_void_p]),
            ("llama_memory_clear", None, [ctypes.c_void_p, ctypes.c_bool]),
            ("llama_set_n_threads", None, [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32]),
            ("llama_log_set", None, [ctypes.c_void_p, ctypes.c_void_p])):
        function = getattr(llama, name)
        function.restype, function.argtypes = result, arguments
    llama.llama_log_set(ctypes.cast(LOG, ctypes.c_void_p), None)
    return llama


class LlamaCpp:
    """A base with, perhaps, an adapter. Raises ValueError, with what llama.cpp said, where either doesn't load."""

    def __init__(self, base, vocabulary, adapter=None, context=512):
        self.llama = library()
        self.vocabulary = vocabulary
        self.model = self.require(self.llama.llama_model_load_from_file(str(base).encode(), self.llama.llama_model_default_params()), base)
        parameters = self.llama.llama_context_default_params()
        for field, value in enumerate((context, context, context, 1)):  # n_ctx, n_batch, n_ubatch, n_seq_max
            parameters.words[field] = value
        self.context = self.require(self.llama.llama_init_from_model(self.model, parameters), "context")
        self.llama.llama_set_n_threads(self.context, 1, 1)
        if adapter is not None:
            lora = self.require(self.llama.llama_adapter_lora_init(self.model, str(adapter).encode()), adapter)
            status = self.llama.llama_set_adapters_lora(self.context, (ctypes.c_void_p * 1)(lora), 1, (ctypes.c_float * 1)(1.0))
            self.require(status == 0, adapter)

    def require(self, value, what):
        if not value:
            raise ValueError(f"llama.cpp refuses {what}: {''.join(MESSAGES[-8:])}")
        return value

    def logits(self, ids):
        """[T, V] float32 of one sequence."""
        return self.decode(ids, [1] * len(ids))

    def last_logits(self, sequences):
        """[sequences, V] float32, after the last token of each."""
        return torch.cat([self.decode(ids, [0] * (len(ids) - 1) + [1]) for ids in sequences])

    def decode(self, ids, wanted):
        count = len(ids)
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), True)
        sequence = (ctypes.c_int32 * 1)(0)
        sequences = (ctypes.POINTER(ctypes.c_int32) * count)(*[ctypes.cast(sequence, ctypes.POINTER(ctypes.c_int32))] * count)
        batch = Batch(count, (ctypes.c_int32 * count)(*ids), None, (ctypes.c_int32 * count)(*range(count)),
                      (ctypes.c_int32 * count)(*[1] * count), sequences, (ctypes.c_int8 * count)(*wanted))
        self.require(self.llama.llama_decode(self.context, batch) == 0, "the batch")
        out = self.llama.llama_get_logits(self.context)
        size = sum(wanted) * self.vocabulary
        return torch.frombuffer(bytearray(ctypes.string_at(out, 4 * size)), dtype=torch.float32).view(-1, self.vocabulary)
