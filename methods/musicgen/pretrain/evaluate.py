"""Evaluate an exported mini MusicGen melody, through the method that the benchmark runs.

Figures: the causality leak; cross entropy with true and with wrong conditions; and for generated
transfers the chroma similarity to the own content against that to another clip of the same
instrument, and how often a classifier of timbre (logistic regression on MFCC statistics of codec
round trips) hears the instrument of the text.
"""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from transformers import AutoTokenizer, MusicgenMelodyForConditionalGeneration

from bench.api import Audio, Clip, FitRequest, Style, TransferRequest
from methods.musicgen.generation import decode
from methods.musicgen.method import MusicgenMelody
from methods.musicgen.pretrain import lm
from methods.musicgen.pretrain.codec import chroma_similarity
from methods.musicgen.pretrain.data import (
    INSTRUMENTS,
    NUM_SAMPLES,
    SAMPLE_RATE,
    VALIDATION_CLIPS,
    Corpus,
    Material,
)
from methods.musicgen.sampling import Parameters

_CLIPS = 64
_CLASSIFIER_CLIPS = 640
_NAMES = INSTRUMENTS
Figures = dict[str, float]


def timbre(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return mean, deviation and mean change of 20 MFCC over time, shape (60,)."""
    mfcc = librosa.feature.mfcc(y=waveform, sr=SAMPLE_RATE, n_mfcc=20, n_fft=1024, hop_length=320)
    statistics = (mfcc.mean(axis=1), mfcc.std(axis=1), np.diff(mfcc, axis=1).std(axis=1))
    return np.concatenate(statistics).astype(np.float64)


@torch.no_grad()
def round_trips(
    model: MusicgenMelodyForConditionalGeneration, codes: Tensor
) -> NDArray[np.float32]:
    """Decode codes, 20 clips at a time, shape (clip, sample)."""
    chunks = [decode(model, chunk) for chunk in torch.split(codes, 20)]
    decoded: NDArray[np.float32] = torch.cat(chunks)[:, :NUM_SAMPLES].numpy()
    return decoded


def train_classifier(decoded: NDArray[np.float32], instrument: NDArray[np.int64]) -> Pipeline:
    """Fit the classifier of instruments."""
    features = np.stack([timbre(waveform) for waveform in decoded])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return classifier.fit(features, instrument)


def transfer(
    method: MusicgenMelody, contents: Tensor, texts: list[str], guidance_scale: float
) -> NDArray[np.float32]:
    """Run the method on contents (clip, sample) with one text each; returns (clip, sample)."""
    parameters = Parameters(guidance_scale=guidance_scale)
    requests = []
    for index, text in enumerate(texts):
        fit = FitRequest(Style(text, (), text=text), parameters, seed=0)
        state = method.fit([fit], lambda _fraction, _text: None)[0]
        audio = Audio(contents[index][None].numpy().copy(), SAMPLE_RATE)
        clip = Clip(f"content {index}", "held out", audio)
        requests.append(TransferRequest(clip, state, parameters, seed=index))
    return np.stack([audio.waveform[0] for audio in method.transfer(requests)])


def judge(
    outputs: NDArray[np.float32],
    contents: Tensor,
    wanted: NDArray[np.int64],
    classifier: Pipeline,
) -> Figures:
    """Return the figures of one set of outputs; "other" is the next clip of the same instrument."""
    heard = classifier.predict(np.stack([timbre(output) for output in outputs]))
    count, turn = len(outputs), len(_NAMES)
    waves = torch.from_numpy(outputs)
    own = np.array([chroma_similarity(contents[i], waves[i]) for i in range(count)])
    other = np.array(
        [chroma_similarity(contents[(i + turn) % count], waves[i]) for i in range(count)]
    )
    return {
        "chroma own": float(own.mean()),
        "chroma other": float(other.mean()),
        "own nearer, share": float((own > other).mean()),
        "instrument heard, share": float((heard == wanted).mean()),
        **{
            f"heard {name}": float((heard[wanted == i] == i).mean())
            for i, name in enumerate(_NAMES)
            if (wanted == i).any()
        },
    }


def conditions_matter(
    model: MusicgenMelodyForConditionalGeneration, folder: Path, material: Material
) -> Figures:
    """Return the leak and the cross entropies on held-out clips."""
    texts = lm.TextTable.of(AutoTokenizer.from_pretrained(folder))
    batch = lm.Examples(material, texts).validation()
    entropy = lm.validate(model, batch)
    return {
        "future leak": lm.future_leak(model),
        **{f"cross entropy, {name}": value for name, value in entropy.items()},
        "gap of other chroma": entropy["other chroma"] - entropy["true"],
        "gap of other text": entropy["other text"] - entropy["true"],
    }


def evaluate(folder: Path, corpus: Corpus, material: Material) -> dict[str, Figures]:
    """Return all figures of the exported model in `folder`."""
    method = MusicgenMelody()
    method.load_folder(folder, "cpu")
    model = MusicgenMelodyForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.decoder.set_attn_implementation("sdpa")
    model.train(mode=False)
    decoded = round_trips(model, torch.from_numpy(material.codes[:_CLASSIFIER_CLIPS]))
    instrument = corpus.instrument[:_CLASSIFIER_CLIPS]
    classifier = train_classifier(decoded[VALIDATION_CLIPS:], instrument[VALIDATION_CLIPS:])
    contents = corpus.audio(slice(0, _CLIPS))
    same = instrument[:_CLIPS]
    changed = (same + 1 + np.arange(_CLIPS) // len(_NAMES)) % len(_NAMES)
    figures = {
        "conditions": conditions_matter(model, folder, material),
        "codec round trip": judge(decoded[:_CLIPS], contents, same, classifier),
    }
    for scale in (2.0, 3.0):
        outputs = transfer(method, contents, [_NAMES[i] for i in changed], scale)
        figures[f"transfer, guidance {scale:g}"] = judge(outputs, contents, changed, classifier)
    return figures
