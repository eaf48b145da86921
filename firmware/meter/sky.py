# SPDX-License-Identifier: MIT
"""The sun over the simulated house, and the clouds before it.

Height of the sun at 50 degrees north and 15 east, from the day of the year and the time; clouds by
season, day, hour and minute, from the seed. Depends on nothing else, so any minute can be asked
for in any order; neighbours are cheaper.
"""

from firmware.meter.numbers import mix, sine
from micropython import const

_DAY = const(1440)
# 10000 times sine and cosine of the latitude.
_SINE_50 = const(7660)
_COSINE_50 = const(6428)
# 15 degrees are an hour.
_EAST_MINUTES = const(60)


class Sky:
    def __init__(self, seed, peak_w):
        """peak_w: power of the panels when nothing is lost."""
        self.seed = seed
        self.peak_w = peak_w
        self._day = -1
        # sin(height) = a + b * cos(hour angle), of the day.
        self._a = 0
        self._b = 0
        self._cloudy = 0
        self._hour = -1
        self._cloud_a = 0
        self._cloud_b = 0

    def _begin_day(self, day):
        self._day = day
        self._hour = -1
        season = (day * 4 % 1461) // 4
        declination = 234 * sine((season + 285) * 3600 // 365) // 10000
        self._a = _SINE_50 * sine(declination) // 10000
        self._b = _COSINE_50 * sine(900 - declination) // 10000
        # 0 clear to 1000 overcast; more of it in winter.
        c = mix(self.seed, day, 6)
        cloudy = (c % 1000 + (c >> 10) % 1000 + 450 - 5 * declination // 3) // 2
        self._cloudy = min(1000, max(0, cloudy))

    def _cloud(self, hour):
        """Clouds at a full hour, 0..1000."""
        c = mix(self.seed, hour, 7) % 1000
        return min(1000, max(0, self._cloudy + (c - 500) * 3 // 4))

    def watts(self, minute):
        """Power of panels in a minute (UTC, since 2000)."""
        solar = minute + _EAST_MINUTES
        day = solar // _DAY
        if day != self._day:
            self._begin_day(day)
        height = self._a + self._b * sine((solar % _DAY - 720) * 5 // 2 + 900) // 10000
        if height <= 100:
            return 0
        hour = minute // 60
        if hour != self._hour:
            self._hour = hour
            self._cloud_a = self._cloud(hour)
            self._cloud_b = self._cloud(hour + 1)
        cloud = self._cloud_a + (self._cloud_b - self._cloud_a) * (minute % 60) // 60
        if 250 < cloud < 750:
            # Single clouds pass: some minutes are in the shade.
            if mix(self.seed, minute >> 1, 8) % 1000 < cloud:
                cloud = cloud + 1000 >> 1
            else:
                cloud >>= 2
        # Less through more air; and a thin layer of cloud takes less than its share.
        clear = self.peak_w * height // 10000 * height // (height + 900)
        return clear * (1000 - cloud * cloud // 1000 * 88 // 100) // 1000
