"""How long the stand-in takes to answer: drawn from the latencies that were published.

They are given as a mean and a 99th percentile over 126 requests to a real service. A
log-normal distribution, exp(m + s·z) with z normal, has mean exp(m + s²/2) and 99th percentile
exp(m + 2.326·s). Dividing the two and taking logarithms leaves a quadratic equation in s:

    s²/2 − 2.326·s + ln(p99 / mean) = 0,    so  s = 2.326 − √(2.326² − 2·ln(p99 / mean))
                                            and m = ln(mean) − s²/2
"""

import math
import random
from dataclasses import dataclass
from statistics import NormalDist

Z99 = NormalDist().inv_cdf(0.99)  # 2.326: what 99 % of a normal distribution lies below


@dataclass(frozen=True)
class LogNormal:
    """Latencies with a given mean and 99th percentile, in seconds."""

    mean_s: float
    p99_s: float

    @property
    def spread(self) -> float:
        """The s of the formula above."""
        excess = math.log(self.p99_s / self.mean_s)
        if not 0 <= 2 * excess <= Z99**2:
            raise ValueError(f"no log-normal has mean {self.mean_s} s and 99th percentile {self.p99_s} s")
        return Z99 - math.sqrt(Z99**2 - 2 * excess)

    def draw(self, chance: random.Random) -> float:
        spread = self.spread
        return chance.lognormvariate(math.log(self.mean_s) - spread**2 / 2, spread)

    def scaled(self, scale: float) -> "LogNormal":
        """The same shape with time running `scale` times as fast."""
        return LogNormal(self.mean_s / scale, self.p99_s / scale)


# Published for the pipeline that examples/scan is modelled on.
VISION = LogNormal(mean_s=12.25, p99_s=37.91)
CHAT = LogNormal(mean_s=14.13, p99_s=46.63)
