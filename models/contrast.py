"""Contrasts between and within clips, that part a clip's text-close from its text-far features.

Sun and Tian, "Sequential Fusion of Text-close and Text-far Representations" (SFTTR), section 3.3, equations 1-8, after
Yang et al., ConFEDE (ACL 2023). C_m is the text-close, F_m the text-far vector of modality m; modalities stand in the
order T, V, A.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 2  # similar clips of an anchor's label: N of equation 2
NEAR_OUTLIERS = 2  # clips of other labels that are similar nevertheless: O of equation 3, with ...
FAR_OUTLIERS = 2  # ... clips of other labels that are dissimilar
COMPANIONS = NEIGHBOURS + NEAR_OUTLIERS + FAR_OUTLIERS
ANCHOR_ROWS = 1024  # rows of the similarity matrix that are in memory at a time


class Companions:
    """The clips that each clip of the train split may be compared with, and a random choice among them.

    Similar are those with the very same label (section 3.3). The paper leaves open what a high score is: here it is one of
    the `candidates` highest of the anchor.

    Parameters
    ----------
    clips : np.ndarray [shape=(n,)]
        Indices of the clips in the corpus, ascending.
    vectors : Tensor [shape=(n, D)]
        [T; V; A] of each clip (equation 1).
    classes : np.ndarray [shape=(n,)]
        The same number for the same label; -1: no label, so that the clip is nobody's companion and has none.
    candidates : int
        Clips that each of the three random choices draws from.

    Attributes
    ----------
    similar, near, far : np.ndarray [shape=(n, candidates)]
        Indices in the corpus of an anchor's closest clips of its label, and of the closest and the farthest of all others;
        -1 where the split has no further one.
    """

    def __init__(self, clips: np.ndarray, vectors: Tensor, classes: np.ndarray, candidates: int):
        self.clips = clips
        directions = F.normalize(vectors.float(), dim=1)
        blocks = []
        for start in range(0, len(clips), ANCHOR_ROWS):
            anchors = np.arange(start, min(start + ANCHOR_ROWS, len(clips)))
            scores = (directions[anchors] @ directions.T).cpu().numpy()
            labelled = (classes[anchors, None] >= 0) & (classes >= 0)
            same = classes[anchors, None] == classes
            oneself = anchors[:, None] == np.arange(len(clips))
            similar, count = _descending(scores, labelled & same & ~oneself)
            other, other_count = _descending(scores, labelled & ~same)
            # Of few clips of other labels the closer half may be drawn as near, the rest as far: none twice.
            near = _take(other, np.arange(candidates), -(-other_count // 2))
            far = _take(other, other_count[:, None] - 1 - np.arange(candidates), other_count // 2)
            blocks.append([_take(similar, np.arange(candidates), count), near, far])
        pools = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        self.similar, self.near, self.far = (np.where(pool >= 0, clips[pool], -1) for pool in pools)

    def draw(self, anchors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Companions of the clips at the corpus indices `anchors`, drawn without replacement.

        Returns
        -------
        np.ndarray [shape=(B, COMPANIONS)]
            Indices in the corpus: 2 neighbours, 2 near and 2 far outliers; -1 where the split has too few.
        """
        rows = np.searchsorted(self.clips, anchors)
        chosen = [
            _choose(pool[rows], count, generator)
            for pool, count in ((self.similar, NEIGHBOURS), (self.near, NEAR_OUTLIERS), (self.far, FAR_OUTLIERS))
        ]
        return np.concatenate(chosen, axis=1)


def _descending(scores: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns by falling score, those allowed first: [shape=(B, n)]; and how many are allowed: [shape=(B,)]."""
    order = np.argsort(np.where(allowed, -scores, np.inf), axis=1, kind="stable")
    return order, allowed.sum(1)


def _take(order: np.ndarray, places: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The columns at `places` of the order, at most `count` of them in each row; -1 for the rest."""
    places = np.broadcast_to(places, (len(order), places.shape[-1]))
    taken = np.take_along_axis(order, places.clip(0, order.shape[1] - 1), axis=1)
    return np.where(np.arange(places.shape[1]) < count[:, None], taken, -1)


def _choose(pool: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` random entries of each row of the pool, those that are -1 only where no others are left."""
    keys = np.where(pool >= 0, generator.random(pool.shape), np.inf)
    return np.take_along_axis(pool, np.argsort(keys, axis=1, kind="stable")[:, :count], axis=1)


def nt_xent(similarity: Tensor, positive: Tensor, present: Tensor, temperature: float, printed: bool) -> Tensor:
    """Equation 8 for the pairs of one anchor vector: the sum over its positive pairs of -log softmax.

    similarity : [..., K], cosine of the anchor vector with the K others; positive and present : bool, of the same shape;
    a pair that is not present counts nowhere. printed : whether a pair's denominator has the other positive pairs too.
    Returns a Tensor [shape=(...)].
    """
    # A finite lowest value keeps the gradient defined where no pair is present at all.
    lowest = torch.finfo(similarity.dtype).min
    logits = (similarity / temperature).masked_fill(~present, lowest)
    if printed:
        surprise = logits.logsumexp(-1, keepdim=True) - logits
    else:
        surprise = logits.masked_fill(positive, lowest).logsumexp(-1, keepdim=True).logaddexp(logits) - logits
    return surprise.masked_fill(~(positive & present), 0.0).sum(-1)


def contrastive_loss(
    close: Tensor, far: Tensor, anchors: Tensor, companions: Tensor, temperature: float, printed: bool = False
) -> Tensor:
    """Equations 2-8 and 17: the mean over the anchors of l_cl.

    The denominator of a pair (a, p) has the pairs of N whose first vector is a, too. An anchor's vision and audio are both
    pulled to its text, as the prose of section 3.3 and the public code of SFTTR and ConFEDE have it; equation 4 prints
    (C_V, C_A) for the second of them.

    Parameters
    ----------
    close, far : Tensor [shape=(U, 3, D)]
        C_m and F_m of the clips that take part, each once.
    anchors : Tensor [shape=(B,)], int64
        Rows of `close` that are anchors.
    companions : Tensor [shape=(B, COMPANIONS)], int64
        Rows of each anchor's companions, the neighbours first; -1: absent.
    temperature : float
        tau.
    printed : bool
        False: the mean over an anchor's positive pairs, of which there are 20 if no companion is absent, as in the public code
        of SFTTR and ConFEDE, with which the published rows were made. True: equation 8 as it is printed, their sum, with the
        pairs of P too in each denominator.
    """
    close, far = F.normalize(close, dim=-1), F.normalize(far, dim=-1)
    present = companions >= 0
    rows = companions.clamp_min(0)
    # Within each clip (equations 4 and 5); the first vector is C_T.
    text_close = (close[:, :1] * close[:, 1:]).sum(-1)  # [U, 2]
    text_far = (close[:, :1] * far).sum(-1)  # [U, 3]
    within = torch.cat([text_close, text_far], dim=1)
    within_loss = nt_xent(within, _positive(2, 3, within), torch.ones_like(within, dtype=torch.bool), temperature, printed)
    # Across clips (equations 2 and 3): C_m of the anchor with C_m of its companions.
    across = torch.einsum("bmd,bjmd->mbj", close[anchors], close[rows])
    neighbour = _positive(NEIGHBOURS, COMPANIONS - NEIGHBOURS, across[0])
    always = torch.ones_like(present[:, :1])
    text = nt_xent(
        torch.cat([within[anchors, :2], across[0], within[anchors, 2:]], dim=1),
        torch.cat([always.expand(-1, 2), neighbour, ~always.expand(-1, 3)], dim=1),
        torch.cat([always.expand(-1, 2), present, always.expand(-1, 3)], dim=1),
        temperature,
        printed,
    )
    vision, audio = (nt_xent(across[place], neighbour, present, temperature, printed) for place in (1, 2))
    total = text + vision + audio + within_loss[rows].masked_fill(~present, 0.0).sum(1)
    if not printed:
        total = total / (2 + 2 * present.sum(1) + 3 * present[:, :NEIGHBOURS].sum(1))
    return total.mean()


def _positive(positives: int, negatives: int, like: Tensor) -> Tensor:
    """True for the first columns, the positive pairs: bool Tensor of the shape of `like`."""
    return (torch.arange(positives + negatives, device=like.device) < positives).expand_as(like)
