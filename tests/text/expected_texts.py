"""Texts that every tokenizer is compared on."""
import random

ENGLISH = """Patients with a known contrast allergy were excluded; two thirds of the remainder (n = 1,204) completed follow-up.
It's the doctor's note: "don't stop at 3.5 mg/kg", they'll say, we've seen worse, I'd guess.   Trailing spaces   \n\n\n\tTabs\tand\r\nline ends\r"""
CHINESE = """患者男性，65岁，因“反复胸痛3年，加重2天”入院。既往史：高血压病史10年，否认糖尿病。诊断：冠状动脉粥样硬化性心脏病；不稳定型心绞痛。
建议：低盐低脂饮食，规律服药（阿司匹林100mg qd）。龘靐齉爩鱻麤灪𠮷𡃁"""
EMOJI = "🤗 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ☃︎ ❤️ 🇨🇳🇩🇪 a🙂b 𝓗𝓮𝓵𝓵𝓸 ｆｕｌｌｗｉｄｔｈ"
CODE = '''template <typename T>\nvoid f(const std::vector<T>& xs) {\n\tfor (auto&& x : xs) std::cout << x << "\\n";  // <|x|>\n}\n\ndef g(a, *, b=None):\n    return {"k": [a ** 2, b or 0x1F], 'é': r"\\d+"}\n\n\n#!/bin/sh\necho "$((1<<3))" | sed -e 's/^/>>/'\n'''
SCRIPTS = "Ünïcödé é e\u0301 \ufb01 한국어 조합 \u1112\u1161\u11ab עברית العَرَبِيَّة हिन्दी ไทย ქართული አማርኛ \u200b\u00a0\ufeff\u2028\u3000end"
CONTROL = "\x00\x01\x1b[0m\x7f\ufffd\U0010ffff\ue000"
SPECIAL = ("<|im_start|>user\nhi<|im_end|>\n<|endoftext|><think>\n</think><tool_call> <s>[INST] <<SYS>>\nx\n<</SYS>>\n\ny [/INST] </s><s> "
           "<unk> <bos><start_of_turn>model\n<end_of_turn>\n<eos><pad><|begin_of_text|><|start_header_id|>a<|end_header_id|>\n\nb <|eot_id|> c<|im_en|> <0x41>")


def fuzz(seed, count, most):
    """Random characters out of ranges that tokenizers treat differently."""
    draw = random.Random(seed)
    ranges = [(0x20, 0x7E), (0x20, 0x7E), (0x61, 0x7A), (0x09, 0x0D), (0xA0, 0x24F), (0x300, 0x36F), (0x400, 0x4FF), (0x4E00, 0x9FFF),
              (0x1F300, 0x1FAFF), (0x2000, 0x206F), (0x30, 0x39), (0x10000, 0x10FFF)]
    words = [" ", "  ", "\n", " the", "ing", "▁", "<0x0A>", "'ll", "</s>", "<|im_end|>", "<eos>", "123", "的"]
    texts = []
    for _ in range(count):
        pieces = []
        for _ in range(draw.randint(1, most)):
            if draw.random() < 0.25:
                pieces.append(draw.choice(words))
            else:
                low, high = draw.choice(ranges)
                pieces.append(chr(draw.randint(low, high)))
        texts.append("".join(pieces))
    return texts


def texts():
    mixed = "\n".join([ENGLISH, CHINESE, EMOJI, CODE, SCRIPTS]) + "\n"
    long = mixed * (100_000 // len(mixed.encode()) + 1)
    whole = [
        "", " ", "  ", "\n", "\t", "a", "的", "Hello world", " Hello", "Hello ", "▁", "▁x", " ▁ ", "1234567890", "...", "'s", "<s>", "</s>a",
        ENGLISH, CHINESE, EMOJI, CODE, SCRIPTS, CONTROL, SPECIAL, " " * 300, "\n" * 50, "=" * 200, "a" * 3000, "ab" * 500,
        long, "汉" * 34_000, "x" * 100_000,
    ]
    assert len(long.encode()) >= 100_000
    return whole + fuzz(1, 300, 40)
