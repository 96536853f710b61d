"""Probing: how well a model's representation of texts tells labels apart.

For each task a linear classifier is fitted on the mean hidden states of the frozen network
(`inference/pooling.py`) and judged on texts it has not seen. Beside it, with the same classifier:
TF-IDF of words and word pairs, and the same network with random weights. `finetune` also trains all
weights with the classifier (`tuning/classify.py`). How strongly the classifier is held back is
chosen on the training texts alone. The table is kept as an artifact of kind `probe`, which holds
figures and no text. Not here: bits per byte (`evaluate.py`).
"""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rookery.core.artifact import Artifact
from rookery.core.atomic import write_atomically
from rookery.core.context import Context
from rookery.core.digest import digest_file
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.core.stage import Stage, run_stage
from rookery.core.workspace import Workspace
from rookery.model.checkpoint import load_network, load_shape
from rookery.model.inference.pooling import mean_states
from rookery.model.network import Network
from rookery.model.tokenizer import Tokenizer, load_tokenizer
from rookery.model.training.initialization import initial_rows
from rookery.model.training.run import best_precision
from rookery.posts.sources.tables.readers import no_column
from rookery.posts.sources.tabular import columns_of, read_raw

KIND, VERSION, FILE = "probe", 1, "result.json"
TRAIN, JUDGED = ("train", "training"), (("test",), ("val", "validation", "dev"))
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # scikit-learn's C
FOLDS = 4


@dataclass(frozen=True)
class ProbeConfig:
    """The columns of the table, and whether the network is fine-tuned too.

    task: the column that says which task a row belongs to; None: all rows are one task.
    """

    text: str
    label: str
    split: str
    task: str | None = None
    finetune: bool = False
    seed: int = 0


@dataclass(frozen=True)
class ProbeTask:
    """A task: texts and labels (codes into the sorted names) to learn from and to be judged by."""

    name: str
    classes: tuple[str, ...]
    texts: tuple[list[str], list[str]]
    labels: tuple[np.ndarray, np.ndarray]


Classifier = Callable[[ProbeTask], np.ndarray]
"""Learns a task's first texts, and returns the labels that it gives to the others."""


def probe(
    home: Home, checkpoint: Artifact, path: Path, config: ProbeConfig, context: Context
) -> Artifact:
    """Probe a checkpoint on a table of labelled texts, and return the artifact with the figures.

    Raises `DataError` for a column that is missing, a task with one class only, and a split without
    texts.
    """
    tasks = read_tasks(path, config)
    inputs = {"checkpoint": checkpoint.digest, "table": digest_file(path)}

    def make(workspace: Workspace) -> dict[str, Any]:
        systems = _systems(checkpoint, config)
        table: dict[str, dict[str, Any]] = {task.name: {} for task in tasks}
        with context.progress.task("probing", len(tasks) * len(systems), "fits") as shown:
            for task in tasks:
                for name, classify in systems.items():
                    table[task.name][name] = _measures(task.labels[1], classify(task))
                    shown.advance(1, f"{task.name}, {name}")
                sizes = {"train": len(task.texts[0]), "judged": len(task.texts[1])}
                table[task.name] |= {"texts": sizes, "classes": list(task.classes)}
        means = _means(table, systems)
        result = {"tasks": table, "mean_macro_f1": means}
        write_atomically(workspace.path / FILE, json.dumps(result, indent=1).encode())
        return means

    return run_stage(home, Stage(KIND, VERSION, config, inputs), make, context)


def read_result(probed: Artifact) -> dict[str, Any]:
    """Return the figures of a probe, as `probe` wrote them.

    `{"tasks": {task: {system: {"macro_f1", "accuracy"}, "texts": {"train", "judged"}, "classes"}},
    "mean_macro_f1": {system: mean over the tasks}}`; the systems are model, tfidf, random, and
    finetuned where that was asked for.
    """
    return json.loads(probed.file(FILE).read_text())


def read_tasks(path: Path, config: ProbeConfig) -> list[ProbeTask]:
    """Return the tasks of a table, by name; rows without text, label or split are left out.

    A task is judged on its `test` split, or on `val` where it has none. Raises `DataError` as
    `probe`.
    """
    names = [config.text, config.label, config.split, *filter(None, [config.task])]
    known = columns_of(path)
    for name in names:
        if name not in known:
            raise no_column(path, name, known)
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for raw in read_raw(path, list(dict.fromkeys(names))):
        columns = [[None if v is None else str(v) for v in raw.rows[n].to_pylist()] for n in names]
        for text, label, split, *task in zip(*columns, strict=True):
            if text and label and split and None not in task:
                rows.setdefault(task[0] if task else config.label, []).append((text, label, split))
    if not rows:
        raise DataError("the table has no row with text, label and split", where=path)
    return [_task(path, name, rows[name]) for name in sorted(rows)]


def _task(path: Path, name: str, rows: Sequence[tuple[str, str, str]]) -> ProbeTask:
    learned = [row for row in rows if row[2].lower() in TRAIN]
    splits = ([row for row in rows if row[2].lower() in words] for words in JUDGED)
    judged = next(filter(None, splits), [])
    for split, found in (("train", learned), ("test or val", judged)):
        if not found:
            found_splits = ", ".join(sorted({row[2] for row in rows}))
            what = f"the task {name!r} has no text in the split {split}"
            raise DataError(what, where=path, hint=f"Its splits: {found_splits}")
    classes = tuple(sorted({label for _, label, _ in learned}))
    if len(classes) < 2:
        what = f"the task {name!r} has one class only: {classes[0]!r}"
        raise DataError(what, where=path, hint="Name the label's column with --label")
    code = {label: n for n, label in enumerate(classes)}
    judged = [row for row in judged if row[1] in code] or judged[:0]
    if not judged:
        what = f"no text to judge the task {name!r} has a label that was learned"
        raise DataError(what, where=path, hint=f"Learned: {', '.join(classes)}")
    texts, labels = zip(
        *(
            ([text for text, *_ in part], np.array([code[label] for _, label, _ in part]))
            for part in (learned, judged)
        ),
        strict=True,
    )
    return ProbeTask(name, classes, texts, labels)


def _systems(checkpoint: Artifact, config: ProbeConfig) -> dict[str, Classifier]:
    """Return what is compared, by name."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = load_network(checkpoint, best_precision(device)).to(device)
    untrained = random_network(checkpoint, config.seed).to(device, best_precision(device))
    tokenizer = load_tokenizer(checkpoint)
    systems: dict[str, Classifier] = {
        "model": _on_states(network, tokenizer),
        "tfidf": _on_tfidf,
        "random": _on_states(untrained, tokenizer),
    }
    if config.finetune:
        from rookery.model.tuning.classify import finetuned

        systems["finetuned"] = lambda task: finetuned(
            load_network(checkpoint), tokenizer, task.texts, task.labels[0], len(task.classes)
        )
    return systems


def random_network(checkpoint: Artifact, seed: int) -> Network:
    """Return a network of a checkpoint's shape with the weights that training begins with.

    Its matrices that begin at zero are drawn as the others, so that every layer does something.
    """
    network = Network(load_shape(checkpoint)).eval().requires_grad_(False)
    for name, weight in network.named_parameters():
        drawn = name.replace("o_proj", "q_proj").replace("down_proj", "up_proj")
        weight.copy_(initial_rows(seed, drawn, weight.shape, slice(0, len(weight))))
    return network


def _on_states(network: Network, tokenizer: Tokenizer) -> Classifier:
    def classify(task: ProbeTask) -> np.ndarray:
        from sklearn.preprocessing import StandardScaler

        learned, judged = (mean_states(network, tokenizer, texts) for texts in task.texts)
        scaler = StandardScaler().fit(learned)
        return _linear(scaler.transform(learned), task.labels[0], scaler.transform(judged))

    return classify


def _on_tfidf(task: ProbeTask) -> np.ndarray:
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+")
    learned = words.fit_transform(task.texts[0])
    return _linear(learned, task.labels[0], words.transform(task.texts[1]), scale=100.0)


def _linear(learned: Any, labels: np.ndarray, judged: Any, scale: float = 1.0) -> np.ndarray:
    """Return the labels that logistic regression gives; its strength is chosen by folds.

    scale: by which the strengths are multiplied; TF-IDF's features are smaller than one.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    folds = min(FOLDS, int(np.bincount(labels).min()))
    model: Any = LogisticRegression(max_iter=500, class_weight="balanced")
    if folds >= 2:
        strengths = {"C": [scale * strength for strength in STRENGTHS]}
        split = StratifiedKFold(folds, shuffle=True, random_state=0)
        model = GridSearchCV(model, strengths, scoring="f1_macro", cv=split)
    with warnings.catch_warnings():
        # the weakest regularisation need not converge, and is then hardly the one chosen
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(learned, labels).predict(judged)


def _measures(truth: np.ndarray, given: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    return {
        "macro_f1": round(float(f1_score(truth, given, average="macro")), 4),
        "accuracy": round(float(accuracy_score(truth, given)), 4),
    }


def _means(table: dict[str, dict[str, Any]], systems: Iterable[str]) -> dict[str, float]:
    return {
        name: round(float(np.mean([row[name]["macro_f1"] for row in table.values()])), 4)
        for name in systems
    }
