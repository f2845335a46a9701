"""Small SentencePiece models, and the published rules by which ChatGLM2 and 3 make token ids of a conversation."""
import io
import json
import re

import expected_texts
import sentencepiece

# The families published with a tokenizer.model whose rules are below.
FAMILIES = {"llama", "mistral", "internlm2", "baichuan", "chatglm"}
# As Llama-2's, InternLM2's and ChatGLM's are made: bytes for what has no piece, blanks kept.
BYTES = {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity", "remove_extra_whitespaces": False,
         "allow_whitespace_only_pieces": True, "split_digits": True}
# As sentencepiece is without options: normalised text, unknown characters, no blanks at the ends or twice.
PLAIN = {"model_type": "unigram"}


LINES = [line for text in (expected_texts.ENGLISH, expected_texts.CHINESE, expected_texts.CODE) for line in text.splitlines() if line]


def train(vocab_size, lines=LINES, **options):
    """The bytes of a tokenizer.model."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines * 4), model_writer=model, vocab_size=vocab_size,
                                             hard_vocab_limit=False, minloglevel=2, num_threads=1, **options)
    return model.getvalue()


def processor(model):
    return sentencepiece.SentencePieceProcessor(model_proto=model)


class Directory:
    """LlamaTokenizer and its like over a model: added tokens are taken out of the text, every part between is encoded by itself."""

    def __init__(self, model, tokens, bos=True, eos=False):
        self.model, self.tokens = processor(model), tokens  # token -> id
        self.prefix, self.suffix = [self.model.bos_id()] * bos, [self.model.eos_id()] * eos

    def bare(self, text):
        if not self.tokens:
            return self.model.encode(text)
        pattern = "|".join(map(re.escape, sorted(self.tokens, key=len, reverse=True)))
        ids = []
        for part in re.split(f"({pattern})", text):
            if part:
                ids += [self.tokens[part]] if part in self.tokens else self.model.encode(part)
        return ids

    def encode(self, text):
        return self.prefix + self.bare(text) + self.suffix


class ChatGlm:
    """What both share: commands with ids behind the model's, `[gMASK] sop` before every text."""
    COMMANDS = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"]

    def __init__(self, model):
        self.model = processor(model)
        self.commands = {token: self.model.vocab_size() + i for i, token in enumerate(self.COMMANDS)}

    def prefix(self):
        return [self.commands["[gMASK]"], self.commands["sop"]]


class ChatGlm2(ChatGlm):
    def prompt(self, messages):
        """build_prompt of the last question with the rounds before it."""
        text, questions = "", [m["content"] for m in messages if m["role"] == "user"]
        answers = [m["content"] for m in messages if m["role"] == "assistant"]
        for i, (question, answer) in enumerate(zip(questions, answers)):
            text += f"[Round {i + 1}]\n\n问：{question}\n\n答：{answer}\n\n"
        text += f"[Round {len(questions)}]\n\n问：{questions[-1]}\n\n答："
        return self.prefix() + self.model.encode(text)

    def answer(self, text):
        return self.model.encode(text) + [self.model.eos_id()]


class ChatGlm3(ChatGlm):
    COMMANDS = [*ChatGlm.COMMANDS, "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"]

    def message(self, role, content):
        """build_single_message, with empty metadata."""
        return [self.commands[f"<|{role}|>"]] + self.model.encode("\n") + self.model.encode(content)

    def prompt(self, messages):
        """build_chat_input."""
        ids = self.prefix()
        for message in messages:
            ids += self.message(message["role"], message["content"])
        return ids + [self.commands["<|assistant|>"]]

    def answer(self, text):
        return self.message("assistant", text)[1:] + [self.model.eos_id()]


CHATGLM_CONFIG = {"tokenizer_class": "ChatGLMTokenizer", "remove_space": False, "do_lower_case": False,
                  "auto_map": {"AutoTokenizer": ["tokenization_chatglm.ChatGLMTokenizer", None]}}
# Of ChatGLM3's published tokenizer_config.json.
CHATGLM3_TEMPLATE = ("{% for message in messages %}{% if loop.first %}[gMASK]sop<|{{ message['role'] }}|>\n {{ message['content'] }}"
                     "{% else %}<|{{ message['role'] }}|>\n {{ message['content'] }}{% endif %}{% endfor %}"
                     "{% if add_generation_prompt %}<|assistant|>{% endif %}")


def write_chatglm(directory, model, third):
    (directory / "tokenizer.model").write_bytes(model)
    (directory / "tokenizer_config.json").write_text(json.dumps(CHATGLM_CONFIG))
    if third:  # what tells the two apart where there is no template
        (directory / "tokenization_chatglm.py").write_text('role_special_tokens = ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"]\n')
