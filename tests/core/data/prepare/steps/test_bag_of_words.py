"""Texts become counts of words, as scikit-learn counts and weighs them."""

from typing import Any, Literal

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from core.data.prepare.preparation import CellError
from core.data.prepare.steps.bag_of_words import BagOfWords
from core.errors import InvalidError

TRAINING = [
    "Great phone, great battery; it's a bargain!",
    "The battery died after 2 days. Not great.",
    "Über-schnell geliefert, sehr gut",
    "not good not bad",
    "",
    "it arrived",
]
LATER = ["great battery and unknown words", "", "NOT bad... not AT all", "x"]


def texts(values: list[str | None]) -> np.ndarray[Any, Any]:
    return np.array(values, object)


@pytest.mark.parametrize(
    ("weights", "theirs"),
    [
        ("count", CountVectorizer()),
        ("binary", CountVectorizer(binary=True)),
        ("tfidf", TfidfVectorizer()),
    ],
)
def test_all_words_are_weighed_as_scikit_learn_does(
    weights: Literal["count", "binary", "tfidf"], theirs: Any
) -> None:
    expected = theirs.fit(TRAINING).transform(TRAINING + LATER).toarray()
    step = BagOfWords(columns=("t",), words=100, weights=weights)
    learned = step.learn(texts([*TRAINING]))
    assert list(learned.words) == theirs.get_feature_names_out().tolist()
    found = step.apply(texts([*TRAINING, *LATER]), learned)
    count = expected.shape[1]
    np.testing.assert_allclose(found[:, :count], expected, rtol=1e-6, atol=1e-7)
    assert not found[:, count:].any()


def test_the_most_frequent_words_are_kept() -> None:
    step = BagOfWords(columns=("t",), words=2, weights="count")
    learned = step.learn_blocks([texts(["bb aa cc"]), texts(["aa bb", "bb dd"])])
    assert learned.words == ("aa", "bb")
    assert step.apply(texts(["bb bb zz aa"]), learned).tolist() == [[1.0, 2.0]]


def test_what_has_no_words_is_refused() -> None:
    step = BagOfWords(columns=("t",))
    with pytest.raises(InvalidError, match="no training row has a word"):
        step.learn(texts(["a", "-"]))
    with pytest.raises(CellError, match="the cell is empty") as caught:
        step.learn_blocks([texts(["aa"]), texts(["bb", None])])
    assert caught.value.row == 2
