"""Pairs of clips and the contrastive loss on them."""

import math

import numpy as np
import pytest
import torch

from models.contrast import COMPANIONS, NEIGHBOURS, Companions, contrastive_loss, nt_xent

CLIPS = np.arange(100, 140, 2) + 7  # indices in the corpus, none of which is a position in the split


def make_companions(classes, candidates=3, seed=0):
    vectors = torch.randn(len(classes), 6, generator=torch.Generator().manual_seed(seed))
    return Companions(CLIPS[: len(classes)], vectors, np.array(classes), candidates), vectors


@pytest.mark.parametrize("printed", [False, True])
def test_nt_xent_of_four_points(printed):
    anchor = torch.tensor([1.0, 0.0])
    points = torch.tensor([[0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]])  # one positive, two negatives: cosines 0.6, 0, -1
    loss = nt_xent(points @ anchor, torch.tensor([True, False, False]), torch.ones(3, dtype=torch.bool), 0.5, printed)
    assert loss.item() == pytest.approx(-math.log(math.exp(1.2) / (math.exp(1.2) + math.exp(0) + math.exp(-2))), abs=1e-6)


@pytest.mark.parametrize("printed", [False, True])
def test_an_absent_pair_counts_nowhere(printed):
    similarity = torch.tensor([0.6, 0.9, 0.0, -1.0, 0.8])
    positive = torch.tensor([True, True, False, False, False])
    present = torch.tensor([True, False, True, True, False])
    kept = nt_xent(similarity[present], positive[present], present[present], 0.5, printed)
    assert torch.allclose(nt_xent(similarity, positive, present, 0.5, printed), kept)


@pytest.mark.parametrize("printed", [False, True])
def test_without_any_pair_loss_and_gradient_are_zero(printed):
    similarity = torch.tensor([0.6, 0.9], requires_grad=True)
    loss = nt_xent(similarity, torch.tensor([True, False]), torch.zeros(2, dtype=torch.bool), 0.5, printed)
    loss.backward()
    assert loss == 0
    assert torch.equal(similarity.grad, torch.zeros(2))


def loss_pair_by_pair(close, far, anchor, companions, temperature, printed):
    """Equations 2-8 for one anchor: the sum over its positive pairs as printed, else the mean beside the negatives alone."""
    T, V, A = range(3)
    neighbours = [j for j in companions[:NEIGHBOURS] if j >= 0]
    outliers = [k for k in companions[NEIGHBOURS:] if k >= 0]
    positive = [(("C", m, anchor), ("C", m, j)) for m in (T, V, A) for j in neighbours]
    negative = [(("C", m, anchor), ("C", m, k)) for m in (T, V, A) for k in outliers]
    positive += [(("C", T, anchor), ("C", V, anchor)), (("C", T, anchor), ("C", A, anchor))]
    positive += [(("C", T, j), ("C", m, j)) for m in (V, A) for j in neighbours + outliers]
    negative += [(("C", T, i), ("F", m, i)) for m in (T, V, A) for i in [anchor, *neighbours, *outliers]]

    def exponential(pair):
        first, second = ((close if kind == "C" else far)[clip, modality] for kind, modality, clip in pair)
        return math.exp(torch.cosine_similarity(first, second, dim=0).item() / temperature)

    total = 0.0
    for pair in positive:
        beside = [other for other in (positive if printed else [pair]) + negative if other[0] == pair[0]]
        total -= math.log(exponential(pair) / sum(exponential(other) for other in beside))
    assert len(positive) == 20 or min(companions) < 0
    return total if printed else total / len(positive)


@pytest.mark.parametrize("printed", [False, True])
def test_contrastive_loss_is_that_of_the_equations(printed):
    generator = torch.Generator().manual_seed(1)
    close, far = (torch.randn(9, 3, 5, generator=generator) for _ in range(2))
    anchors = [4, 0, 7]
    companions = [[1, 2, 3, 5, 6, 8], [7, -1, 2, -1, 5, 4], [-1, -1, -1, -1, -1, -1]]
    expected = [loss_pair_by_pair(close, far, a, c, 0.5, printed) for a, c in zip(anchors, companions, strict=True)]
    loss = contrastive_loss(close, far, torch.tensor(anchors), torch.tensor(companions), 0.5, printed)
    assert loss.item() == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_a_closer_text_and_farther_rest_lower_the_loss():
    generator = torch.Generator().manual_seed(2)
    close, far = torch.randn(7, 3, 5, generator=generator), torch.randn(7, 3, 5, generator=generator)
    arguments = torch.tensor([0]), torch.tensor([[1, 2, 3, 4, 5, 6]]), 0.5
    parted = contrastive_loss(close[:, :1].expand(-1, 3, -1), -close[:, :1].expand(-1, 3, -1), *arguments)
    assert parted < contrastive_loss(close, far, *arguments)


def test_companions_are_corpus_indices_of_the_right_class():
    classes = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    companions, _ = make_companions(classes)
    kind = dict(zip(CLIPS, classes, strict=False))
    generator = np.random.default_rng(0)
    for _ in range(20):
        drawn = companions.draw(CLIPS[:16], generator)
        assert drawn.shape == (16, COMPANIONS)
        for anchor, chosen in zip(CLIPS[:16], drawn, strict=True):
            assert anchor not in chosen
            assert len(set(chosen)) == COMPANIONS
            assert [kind[clip] == kind[anchor] for clip in chosen] == [True, True, False, False, False, False]


def test_candidates_are_the_closest_and_the_farthest_clips():
    classes = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    companions, vectors = make_companions(classes, candidates=2)
    cosine = torch.nn.functional.cosine_similarity(vectors[0], vectors, dim=1).numpy()
    same, other = np.arange(1, 5), np.arange(5, 10)
    assert set(companions.similar[0]) == set(CLIPS[same[np.argsort(cosine[same])[-2:]]])
    assert set(companions.near[0]) == set(CLIPS[other[np.argsort(cosine[other])[-2:]]])
    assert set(companions.far[0]) == set(CLIPS[other[np.argsort(cosine[other])[:2]]])


def test_where_clips_are_few_companions_are_absent_but_never_drawn_twice():
    companions, _ = make_companions([0, 0, 1, 1, 1])
    drawn = companions.draw(CLIPS[:5], np.random.default_rng(0))
    assert drawn[0, 0] == CLIPS[1] and drawn[0, 1] == -1
    assert set(drawn[0, 2:]) == {*CLIPS[2:5], -1}
    assert sorted(drawn[0, 2:])[0] == -1 and len(set(drawn[0, 2:])) == 4


def test_a_clip_without_label_has_no_companions_and_is_none():
    companions, _ = make_companions([0, 0, -1, 0, 1, 1])
    drawn = companions.draw(CLIPS[:6], np.random.default_rng(0))
    assert (drawn[2] == -1).all()
    assert CLIPS[2] not in drawn


def test_the_choice_varies_and_follows_its_seed():
    companions, _ = make_companions([0, 1] * 8)

    def draws(seed):
        generator = np.random.default_rng(seed)
        return [companions.draw(CLIPS[:16], generator).tolist() for _ in range(3)]

    assert draws(5) == draws(5)
    assert draws(5) != draws(6)
    assert len({str(draw) for draw in draws(5)}) == 3


def test_blocks_of_anchors_change_nothing(monkeypatch):
    whole, _ = make_companions([0, 1, 2] * 5)
    monkeypatch.setattr("models.contrast.ANCHOR_ROWS", 4)
    parts, _ = make_companions([0, 1, 2] * 5)
    for pool in ("similar", "near", "far"):
        assert np.array_equal(getattr(whole, pool), getattr(parts, pool))
