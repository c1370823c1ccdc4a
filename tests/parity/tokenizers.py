"""Goldens of tokenizers: Hugging Face's `tokenizers` on odd texts. See requirements-validation.txt for the version.

    python tests/parity/tokenizers.py    # writes tests/parity/goldens/tokenizers.json
"""
import json
import os
import sys

sys.path = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]
import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

assert tokenizers.__version__ == "0.23.3", tokenizers.__version__

CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's the fox's 3rd jump, isn't it? They'll jump 10 times!",
    "low lower lowest new newer newest wide wider widest, slow slower slowest; a cat and a dog and a cow.",
    "Résumé naïve café über straße Ångström; 你好 世界; привет мир; hello\tworld\nnew line  two spaces   three",
    "def f(x):\n    return x + 1  # adds 1\n\nprint(f(41))  # 42",
]

TEXTS = [
    "", " ", "  \t\n ", "hello", "Hello, world!", " lower lowest", "low  lower   ", "\nnew\n\nline\n", "It's they'll isn't WE'RE",
    "Résumé naïve CAFÉ e\u0301 \u00c5ngstro\u0308m", "straße STRASSE İstanbul ΣΊΣΥΦΟΣ", "你好,世界!日本語テキスト 한국어", "привет мир שלום مرحبا ไทย",
    "👋🏽 👩‍👩‍👧‍👦 🇩🇪 ok", "a\u200bb\u00adc\ufeffd\u0000e\u0007f\ufffdg", "x\u00a0y\u2003z\u3000w\u2028v\u0085u", "10 000,5 ½ ² ٣ ⅷ", "a_b-c/d\\e@f$g^h~i`j|k<l>m",
    "fox<|endoftext|>fox <mask> dog [CLS] low[SEP] [MASK] Yesterday yesterday </s>dog<s> <mask>  x",
    "ﬁ ﷺ ｆｕｌｌ ①", "lowlowlowlowlow" * 10, "z" * 120 + " cat", "def f(x):\n    return x+1\n\n\n    # ok", "'s 'S ' s '", "don't do not I'm we've . ! ? , '",
    "\u0300low \u1e9b\u0323 \ud7a3\u1100\u1161", "▁low ▁ ▁▁new", "Ġlow Ċ Ã©", "<0x41> <unk> \U0001f979", "cat-dog--cow", "﹏‿⁀ ‹›«» €£+<=>",
]
PAIRS = [("the fox", "the lazy dog"), ("", "low"), ("low lower lowest newest", "new"), ("cat [SEP] dog", "")]

GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def bpe(pre, size, specials=(), **kw):
    t = Tokenizer(models.BPE(**{k: v for k, v in kw.items() if k in ("unk_token", "continuing_subword_prefix", "end_of_word_suffix")}))
    t.pre_tokenizer = pre
    args = {k: v for k, v in kw.items() if k not in ("unk_token",)}
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials), show_progress=False, **args))
    return json.loads(t.to_str())["model"]


def trained():
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    out = {"byte": bpe(byte, 340, ["<|endoftext|>"], initial_alphabet=alphabet)}
    meta = bpe(pre_tokenizers.Metaspace(), 130, ["<unk>", "<s>", "</s>"], unk_token="<unk>")
    n = len(meta["vocab"])
    for b in range(256):
        meta["vocab"][f"<0x{b:02X}>"] = n + b
    out["fallback"] = meta
    out["suffix"] = bpe(pre_tokenizers.Whitespace(), 130, ["<unk>"], unk_token="<unk>", end_of_word_suffix="</w>")
    out["prefix"] = bpe(pre_tokenizers.Whitespace(), 130, ["<unk>"], unk_token="<unk>", continuing_subword_prefix="@@")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=150, special_tokens=special, show_progress=False))
    out["pieces"] = json.loads(t.to_str())["model"]
    t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.train_from_iterator(CORPUS, trainers.WordLevelTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False))
    out["words"] = json.loads(t.to_str())["model"]
    return out


def added(content, id, **kw):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} | kw


def seq(kind, *parts):
    key = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders", "post_processor": "processors"}[kind]
    return {"type": "Sequence", key: list(parts)}


def template(single, pair, ids):
    def part(p):
        name, _, kind = p.partition(":")
        kind = int(kind or 0)
        return {"Sequence": {"id": name[1:], "type_id": kind}} if name[0] == "$" else {"SpecialToken": {"id": name, "type_id": kind}}
    special = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in ids.items()}
    return {"type": "TemplateProcessing", "single": [part(p) for p in single.split()], "pair": [part(p) for p in pair.split()], "special_tokens": special}


def cases(m):
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    split = lambda regex, behavior, invert=False: {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}
    wp = m["pieces"]["vocab"]
    bert = [added(t, wp[t]) for t in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]]
    bertn = lambda **k: {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True} | k
    bpre = {"type": "BertPreTokenizer"}
    wdec = {"type": "WordPiece", "prefix": "##", "cleanup": True}
    cls, sep = wp["[CLS]"], wp["[SEP]"]
    pad = lambda **k: {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"} | k
    cut = lambda **k: {"direction": "Right", "max_length": 6, "strategy": "LongestFirst", "stride": 0} | k
    bproc = {"type": "BertProcessing", "sep": ["[SEP]", sep], "cls": ["[CLS]", cls]}
    case = lambda model, **k: dict(model=model, **k)
    yield "gpt2", case("byte", pre_tokenizer=level, decoder=level, post_processor=level, added_tokens=[added("<|endoftext|>", 0)])
    yield "gpt2 with a space", case("byte", pre_tokenizer=level | {"add_prefix_space": True}, decoder=level)
    yield "roberta", case("byte", pre_tokenizer=level, decoder=level, added_tokens=[added("<s>", 400), added("</s>", 401), added("<mask>", 402, lstrip=True)],
        post_processor={"type": "RobertaProcessing", "sep": ["</s>", 401], "cls": ["<s>", 400], "trim_offsets": True, "add_prefix_space": False})
    yield "gpt4", case("byte", pre_tokenizer=seq("pre_tokenizer", split(GPT4, "Isolated"), level | {"use_regex": False}), decoder=level,
        normalizer={"type": "NFC"}, post_processor=seq("post_processor", level, template("<|endoftext|> $A", "<|endoftext|> $A <|endoftext|>:1 $B:1", {"<|endoftext|>": 0})))
    yield "byte normalizer", case("byte", normalizer={"type": "ByteLevel"}, decoder=level)
    yield "byte whole", case("byte", pre_tokenizer=level | {"use_regex": False}, decoder=level, ignore=True)
    yield "llama", case("fallback", normalizer=seq("normalizer", {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
        decoder=seq("decoder", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}),
        added_tokens=[added("<unk>", 0), added("<s>", 1), added("</s>", 2)], post_processor=template("<s> $A", "<s> $A <s>:1 $B:1", {"<s>": 1}), fallback=True)
    for scheme in ["always", "first", "never"]:
        meta = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": scheme != "first"}
        yield f"metaspace {scheme}", case("fallback", pre_tokenizer=meta, decoder=meta, added_tokens=[added("</s>", 2)], fuse=scheme == "always")
    yield "sentence pieces", case("fallback", normalizer=seq("normalizer", {"type": "Nmt"}, {"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, {"type": "Strip", "strip_left": False, "strip_right": True}),
        pre_tokenizer=seq("pre_tokenizer", {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}), decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True})
    yield "suffix", case("suffix", normalizer={"type": "Lowercase"}, pre_tokenizer={"type": "Whitespace"}, decoder={"type": "BPEDecoder", "suffix": "</w>"})
    yield "prefix", case("prefix", normalizer=seq("normalizer", {"type": "NFD"}, {"type": "StripAccents"}), pre_tokenizer=seq("pre_tokenizer", {"type": "Whitespace"}, {"type": "Digits", "individual_digits": True}))
    yield "bert", case("pieces", normalizer=bertn(), pre_tokenizer=bpre, decoder=wdec, added_tokens=bert, post_processor=bproc)
    yield "bert cased", case("pieces", normalizer=bertn(lowercase=False), pre_tokenizer=bpre, decoder=wdec, added_tokens=bert,
        post_processor=template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", {"[CLS]": cls, "[SEP]": sep}))
    yield "bert kept accents", case("pieces", normalizer=bertn(strip_accents=False, handle_chinese_chars=False, clean_text=False), pre_tokenizer=bpre, decoder=wdec | {"cleanup": False}, added_tokens=bert)
    yield "bert cut", case("pieces", normalizer=bertn(), pre_tokenizer=bpre, decoder=wdec, added_tokens=bert, post_processor=bproc, truncation=cut(), padding=pad())
    yield "bert cut left", case("pieces", normalizer=bertn(), pre_tokenizer=bpre, added_tokens=bert, post_processor=bproc, truncation=cut(direction="Left", max_length=7), padding=pad(direction="Left", strategy={"Fixed": 9}, pad_to_multiple_of=4))
    yield "words", case("words", pre_tokenizer={"type": "Whitespace"}, added_tokens=[added("Yesterday", 70, normalized=True, special=False, single_word=True), added("[SEP]", 71, rstrip=True), added("low", 72, special=False, single_word=True)],
        normalizer=seq("normalizer", {"type": "NFKD"}, {"type": "Lowercase"}))
    yield "words by line", case("words", pre_tokenizer={"type": "CharDelimiterSplit", "delimiter": " "}, normalizer={"type": "Strip", "strip_left": True, "strip_right": True}, decoder={"type": "Fuse"})
    for i, behavior in enumerate(["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]):
        yield f"punctuation {behavior}", case("suffix", pre_tokenizer=seq("pre_tokenizer", {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": behavior}))
        yield f"split {behavior}", case("prefix", pre_tokenizer=split(r"\s+|-|\d", behavior, i % 2 == 1))
    yield "split text", case("suffix", pre_tokenizer={"type": "Split", "pattern": {"String": "o"}, "behavior": "MergedWithPrevious", "invert": False})
    yield "digits", case("words", pre_tokenizer=seq("pre_tokenizer", {"type": "WhitespaceSplit"}, {"type": "Digits", "individual_digits": False}))
    yield "ctc", case("suffix", pre_tokenizer={"type": "Whitespace"}, decoder={"type": "CTC", "pad_token": "<unk>", "word_delimiter_token": "</w>", "cleanup": True})


def config(parts, all_models):
    parts = dict(parts)
    model = dict(all_models[parts.pop("model")])
    if parts.pop("fallback", False):
        model |= {"byte_fallback": True, "fuse_unk": True}
    if parts.pop("fuse", False):
        model |= {"fuse_unk": True}
    if parts.pop("ignore", False):
        model |= {"ignore_merges": True}
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None}
    return base | parts | {"model": model}


def main():
    all_models = trained()
    out = []
    for name, parts in cases(all_models):
        t = Tokenizer.from_str(json.dumps(config(parts, all_models)))
        one = {"name": name, "parts": parts, "ids": [], "skipped": [], "whole": [], "plain": [], "pairs": []}
        for text in TEXTS:
            e = t.encode(text)
            one["ids"].append(e.ids)
            one["skipped"].append(t.decode(e.ids))
            one["whole"].append(t.decode(e.ids, skip_special_tokens=False))
            one["plain"].append(t.encode(text, add_special_tokens=False).ids if parts.get("post_processor") and not parts.get("truncation") else None)
        for a, b in PAIRS:
            e = t.encode(a, b)
            one["pairs"].append([e.ids, e.type_ids, e.attention_mask, e.special_tokens_mask])
        out.append(one)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "goldens", "tokenizers.json")
    with open(path, "w") as f:
        json.dump({"tokenizers": tokenizers.__version__, "corpus": CORPUS, "texts": TEXTS, "pairs": PAIRS, "models": all_models, "cases": out}, f, ensure_ascii=True, separators=(",", ":"))
    print(len(out), "cases,", os.path.getsize(path), "bytes")


main()
