"""How long a write takes to another Region.

AWS publishes no distribution and no service level: changes typically arrive within a second, sooner
between Regions that are near to each other. A log-normal distribution has what is known of such
times: none is negative, most are near the median, a few take several times as long. Two numbers
define it.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
Source: https://docs.aws.amazon.com/prescriptive-guidance/latest/dynamodb-global-tables/overview.html
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from statistics import NormalDist

DEFAULT_MEDIAN_SECONDS = 0.5
P99_OF_MEDIAN = 3.0
"""The 99th percentile, as a multiple of the median: 1.5 s by default."""
_SIGMA = math.log(P99_OF_MEDIAN) / NormalDist().inv_cdf(0.99)


@dataclass
class LogNormalLag:
    """Draws lags.

    Attributes:
        median_seconds: Half of the lags are shorter; 0 for no lag.
        seed: The same seed gives the same lags; None for others each time.
    """

    median_seconds: float = DEFAULT_MEDIAN_SECONDS
    seed: int | None = None
    _chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def __call__(self) -> float:
        """Draw one, in seconds."""
        return self.median_seconds * self._chance.lognormvariate(0, _SIGMA)
