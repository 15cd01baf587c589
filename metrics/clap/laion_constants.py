"""What laion-clap's networks are made of and their files do not say, each with its source.

A laion checkpoint holds tensors alone. Sizes are read off their shapes (`laion_files`); everything
else that decides an embedding stands here and nowhere else. None of it is left to the defaults of
the library that rebuilds the network, which belong to another model: its text tower normalises with
1e-12 where RoBERTa has 1e-5, and that moves a text by 4e-5.

**Sources**: of the text tower `config.json` of FacebookAI/roberta-base at commit
e2da8e2f811d1448a5b465c236feacd80ffbac7b, which laion-clap loads as its text branch; of everything
else LAION-AI/CLAP at commit 1fd4c37df5ffbfcfbad5415c170bc66cf94c9994, whose files are those of the
package laion-clap 1.1.7: `src/laion_clap/clap_module/htsat.py` (audio tower), `model.py`
(projections) and `model_configs/HTSAT-tiny.json` and `HTSAT-base.json` (front end), and for the
front end's padding `src/laion_clap/hook.py`.
"""

from __future__ import annotations

from bench.files import json_digest

# RoBERTa. Dropout does nothing in evaluation; it stands here so that nothing is left to a default.
TEXT_TOWER: dict[str, object] = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,  # the library has 1e-12
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "projection_hidden_act": "relu",
}
TEXT_HEAD_SIZE = 64  # 12 heads of a width of 768

# HTSAT, a Swin transformer; its norms are torch's own, whose epsilon is 1e-5.
AUDIO_TOWER: dict[str, object] = {
    "spec_size": 256,
    "patch_stride": [4, 4],
    "flatten_patch_embeds": True,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "drop_path_rate": 0.1,
    "enable_fusion": False,
    "projection_hidden_act": "relu",
}

# Ten seconds at 48 kHz; a shorter clip is repeated whole times, of a longer one a part is drawn.
FRONT_END: dict[str, object] = {
    "feature_size": 64,
    "sampling_rate": 48_000,
    "hop_length": 480,
    "max_length_s": 10,
    "fft_window_size": 1024,
    "frequency_min": 50,
    "frequency_max": 14_000,
    "truncation": "rand_trunc",
    "padding": "repeatpad",
}

# Enters the identity of every checkpoint that is read with these: a change makes other scores.
DIGEST = json_digest([TEXT_TOWER, TEXT_HEAD_SIZE, AUDIO_TOWER, FRONT_END])[:12]
